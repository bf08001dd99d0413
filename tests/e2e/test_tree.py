"""A directory goes in over the protocol and comes back with everything that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.live_client import LiveClient
from kit.other_user import as_nobody, reachable_place
from kit.recorded_tree import list_tree, make_removable, make_tree, recorded
from platevault.cli.exit_codes import EXIT_CODES, INCOMPLETE
from platevault.client.tree.inode_flags import NODUMP
from platevault.errors import Conflict

TIME = 1_700_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """The tree that real clients have archived, and where it is restored to."""
    root = tmp_path / "full"
    root.mkdir()
    try:
        make_tree(root)
        yield root
    finally:
        make_removable(root)
        make_removable(tmp_path / "back")


def back_up(client: LiveClient, specs: list[str], group: str, time: int = TIME, *options: str) -> dict[str, dict[str, int]]:
    """Figures of each archive."""
    report = client.good("backup", *specs, "--backup-id", group, "--backup-time", str(time), "--output", "json", *options).json
    return {file["filename"]: file for file in report["files"]}


def test_the_recorded_tree_comes_back(client: LiveClient, tree: Path, tmp_path: Path) -> None:
    first = back_up(client, [f"full.pxar:{tree}"], "tree")
    assert first["full.pxar.didx"]["size"] == len(recorded("full.pxar"))
    assert first["catalog.pcat1.didx"]["size"] == len(recorded("full.catalog.pcat1"))
    client.good("restore", "host/tree", "full.pxar", str(tmp_path / "back"))
    assert list_tree(tmp_path / "back") == [replace(one, flags=one.flags & ~NODUMP) for one in list_tree(tree)]
    assert client.good("restore", "host/tree", "full.pxar", "-").raw == recorded("full.pxar")


def test_an_unchanged_directory_sends_no_chunk_of_it(client: LiveClient, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / "tree" / f"file-{number}").write_bytes(os.urandom(300_000))
    back_up(client, [f"tree.pxar:{tmp_path / 'tree'}"], "unchanged")
    second = back_up(client, [f"tree.pxar:{tmp_path / 'tree'}"], "unchanged", TIME + 3600)["tree.pxar.didx"]
    assert (second["uploaded-chunks"], second["sent"], second["reused"]) == (0, 0, second["size"])
    client.good("restore", "host/unchanged", "tree.pxar", str(tmp_path / "back"))
    assert list_tree(tmp_path / "back") == list_tree(tmp_path / "tree")


def test_part_of_a_directory_beside_another(client: LiveClient, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "keep.conf").write_text(name)
        (tmp_path / name / "sub" / "skip.tmp").write_text(name)
    specs = [f"one.pxar:{tmp_path / 'one'}", f"two.pxar:{tmp_path / 'two'}"]
    back_up(client, specs, "parts", TIME, "--exclude", "*.tmp")
    client.good("restore", "host/parts", "two.pxar", str(tmp_path / "back"), "--pattern", "*.conf")
    found = {os.fspath(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*")}
    assert found == {"sub", "sub/keep.conf"}
    assert (tmp_path / "back" / "sub" / "keep.conf").read_text() == "two"
    listed = client.good("catalog", "dump", "host/parts").raw.decode()
    assert '"one.pxar.didx/sub/keep.conf"' in listed
    assert "skip.tmp" not in listed


def test_what_cannot_be_read_is_said(client: LiveClient, tmp_path: Path) -> None:
    with reachable_place() as place:
        (place / "tree").mkdir(mode=0o755)
        (place / "tree" / "good").write_text("x")
        (place / "tree" / "secret").touch(mode=0)
        words = ("backup", f"tree.pxar:{place / 'tree'}", "--backup-id", "said", "--output", "json", "--backup-time")
        client.good(*words, str(TIME))  # as root, who may read all; and everything is imported
        with as_nobody():
            outcome = client(*words, str(TIME + 3600), HOME=str(place), XDG_CONFIG_DIRS=str(place))
    assert outcome.status == INCOMPLETE
    assert outcome.json["skipped"] == 1
    assert "warning: secret: cannot be read: Permission denied" in outcome.err
    client.good("restore", "host/said", "tree.pxar", str(tmp_path / "back"))
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["good"]


def test_what_is_there_is_not_touched(client: LiveClient, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x")
    back_up(client, [f"tree.pxar:{tmp_path / 'tree'}"], "there")
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "file").write_text("mine")
    restore = ("restore", "host/there", "tree.pxar", str(tmp_path / "back"))
    assert client(*restore).status == EXIT_CODES[Conflict][0]
    assert (tmp_path / "back" / "file").read_text() == "mine"
    client.good(*restore, "--overwrite")
    assert (tmp_path / "back" / "file").read_text() == "x"
