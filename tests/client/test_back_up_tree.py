"""Directories to a server and back: the same tree, nothing twice, and no snapshot after a failure."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kit.archiving import archive
from kit.memory_site import MemorySite
from kit.other_user import as_nobody, reachable_place
from kit.recorded_tree import list_tree
from platevault.client.encryption import Encryption
from platevault.errors import Invalid, NotFound, Unavailable
from platevault.formats.catalog import CatalogReader
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode
from platevault.formats.names import CATALOG_NAME

MIB = 1024 * 1024


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A few MiB in large and small files, so that there are several chunks."""
    root = tmp_path / "tree"
    for number in range(60):
        path = root / f"folder-{number % 7}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1000 + 100 * number))
    for number in range(3):
        (root / f"large-{number}").write_bytes(os.urandom(9 * MIB))
    os.link(root / "large-0", root / "folder-0" / "again")
    (root / "folder-1" / "link").symlink_to("../large-1")
    return root


def test_a_tree_comes_back(site: MemorySite, tree: Path, tmp_path: Path) -> None:
    report = site.back_up([f"tree.pxar:{tree}"])
    assert [file.filename for file in report.files] == ["tree.pxar.didx", CATALOG_NAME]
    assert report.counters["tree.pxar.didx"].chunks > 2
    site.restore("tree.pxar", tmp_path / "back")
    assert list_tree(tmp_path / "back") == list_tree(tree)
    assert site.restore("tree.pxar", None) == archive(tree).archive
    assert (report.skipped, site.warnings) == (0, [])


def test_the_catalog_lists_all_archives(site: MemorySite, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").touch()
    site.back_up([f"tree.pxar:{tree}", f"other.pxar:{tmp_path / 'other'}"])
    raw = site.restore(CATALOG_NAME, None)
    reader = CatalogReader(lambda offset, size: raw[offset : offset + size], len(raw))
    paths = {path for path, _ in reader.walk()}
    assert {b"tree.pxar.didx/folder-0/again", b"other.pxar.didx", b"other.pxar.didx/x"} <= paths


def test_an_unchanged_tree_is_not_sent_again(site: MemorySite, tree: Path) -> None:
    site.back_up([f"tree.pxar:{tree}"])
    report = site.back_up([f"tree.pxar:{tree}"], 1)
    counters = report.counters["tree.pxar.didx"]
    assert (counters.uploaded_chunks, counters.uploaded_bytes) == (0, 0)
    assert counters.reused_bytes == report.files[0].size


def test_an_encrypted_tree_comes_back(site: MemorySite, tree: Path, tmp_path: Path) -> None:
    key = CryptKey(bytes(range(32)))
    site.back_up([f"tree.pxar:{tree}"], encryption=Encryption(CryptMode.ENCRYPT, key))
    site.restore("tree.pxar", tmp_path / "back", key=key)
    assert list_tree(tmp_path / "back") == list_tree(tree)


def test_what_cannot_be_read_is_reported(site: MemorySite) -> None:
    with reachable_place() as place:
        (place / "good").write_text("x")
        (place / "bad").touch(mode=0)
        with as_nobody():
            report = site.back_up([f"tree.pxar:{place}"])
    assert report.skipped == 1
    assert site.warnings == ["bad: cannot be read: Permission denied"]


def appenders() -> list[threading.Thread]:
    """Threads of indexes that are still being written."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(("append", "chunk-worker"))]


@pytest.mark.parametrize("second", ["nothing", "file"])
def test_after_a_failure_there_is_no_snapshot_and_no_thread(site: MemorySite, tree: Path, tmp_path: Path, second: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((NotFound, Invalid)):
        site.back_up([f"tree.pxar:{tree}", f"other.pxar:{tmp_path / second}"])
    assert site.server.store.snapshots == {}
    assert appenders() == []


def test_a_server_that_goes_away_ends_the_backup(site: MemorySite, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.preadv, [0]

    def read_then_cut(file: int, buffers: list[memoryview], offset: int) -> int:
        calls[0] += 1
        if calls[0] == 12:
            for connection in site.server._connections:
                connection.stop()
        return real(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", read_then_cut)
    with pytest.raises(Unavailable):
        site.back_up([f"tree.pxar:{tree}"])
    assert site.server.store.snapshots == {}
    assert appenders() == []
