"""Archives made to write elsewhere: nothing outside of the target changes, whatever they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.extracting import extract
from kit.pxar_trees import FILE, FOLDER, LINK
from platevault.errors import Conflict, Corrupt
from platevault.formats.pxar import items
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.items import CorruptArchive, item
from platevault.formats.pxar.metadata import Metadata, Stat, encode_metadata


class Hostile:
    """An archive in the making, with an encoder that does not object."""

    def __init__(self) -> None:
        self._out = bytearray()
        self.encoder = Encoder(self._out.extend)
        self.encoder.start_root(FOLDER)

    def bytes(self) -> bytes:
        self.encoder.end_directory()
        self.encoder.finish()
        return bytes(self._out)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the target, checked to be as it was."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "file").write_text("mine")
    before = {path: path.lstat() for path in (place, *place.rglob("*"))}
    yield place
    after = {path: path.lstat() for path in (place, *place.rglob("*"))}
    assert {path: (one.st_mode, one.st_mtime_ns, one.st_nlink, one.st_uid) for path, one in after.items()} == {
        path: (one.st_mode, one.st_mtime_ns, one.st_nlink, one.st_uid) for path, one in before.items()
    }
    assert (place / "file").read_text() == "mine"


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_is_planted_and_then_entered(target: Path, outside: Path, overwrite: bool, reuse: bool) -> None:
    archive = Hostile()
    archive.encoder.add_symlink(b"a", LINK, os.fsencode(outside))
    archive.encoder.start_directory(b"a", FOLDER)
    archive.encoder.add_file(b"evil", FILE, b"", b"evil")
    archive.encoder.end_directory()
    with pytest.raises(Conflict):
        extract(archive.bytes(), target, overwrite=overwrite, reuse=reuse)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_is_planted_and_then_written_to(target: Path, outside: Path, overwrite: bool) -> None:
    archive = Hostile()
    archive.encoder.add_symlink(b"a", LINK, os.fsencode(outside / "file"))
    archive.encoder.add_file(b"a", FILE, b"", b"evil")
    raw = archive.bytes()
    if not overwrite:
        with pytest.raises(Conflict):
            extract(raw, target)
        return
    extract(raw, target, overwrite=True)
    assert (target / "a").read_bytes() == b"evil"


def test_a_link_that_was_there_is_not_entered(target: Path, outside: Path) -> None:
    target.mkdir()
    (target / "a").symlink_to(outside)
    archive = Hostile()
    archive.encoder.start_directory(b"a", FOLDER)
    archive.encoder.add_file(b"evil", FILE, b"", b"evil")
    archive.encoder.end_directory()
    with pytest.raises(Conflict, match="no directory"):
        extract(archive.bytes(), target, overwrite=True, reuse=True)


@pytest.mark.parametrize("path", ["../outside/file", "/etc/hostname", "a/../../outside/file", "link/file", "./f", "f/", "folder", "link"])
def test_a_hard_link_leads_elsewhere(target: Path, outside: Path, path: str) -> None:
    """It names a file that was restored, by its place, and another one by its path."""
    archive = Hostile()
    place = archive.encoder.position
    archive.encoder.add_file(b"f", FILE, b"", b"x")
    archive.encoder.start_directory(b"folder", FOLDER)
    archive.encoder.end_directory()
    archive.encoder.add_symlink(b"link", LINK, os.fsencode(outside))
    archive.encoder.add_hardlink(b"z", place, path.encode())
    done = extract(archive.bytes(), target)
    assert done.skipped == 1
    assert not (target / "z").exists()


@pytest.mark.parametrize("distance", [0, 10_000, 2**63])
def test_a_hard_link_to_no_entry(target: Path, distance: int) -> None:
    head = item(items.ENTRY, items.STAT.pack(0o40755, 0, 0, 0, 0, 0, 0))
    link = item(items.FILENAME, b"z\0") + item(items.HARDLINK, items.ONE.pack(distance) + b"f\0")
    with pytest.raises(CorruptArchive):
        extract(head + link + item(items.GOODBYE, bytes(24)), target)


def test_a_hard_link_into_the_middle_of_an_entry(target: Path) -> None:
    archive = Hostile()
    place = archive.encoder.position
    archive.encoder.add_file(b"f", FILE, b"", b"x" * 100)
    archive.encoder.add_hardlink(b"z", place + 5, b"f")
    with pytest.raises(Corrupt):
        extract(archive.bytes(), target)


@pytest.mark.parametrize("name", [b"system.posix_acl_access", b"security.selinux", b"security.capability", b"system.other"])
def test_attributes_that_writers_never_store(target: Path, name: bytes) -> None:
    archive = Hostile()
    archive.encoder.add_file(b"a", FILE, encode_metadata(Metadata(xattrs=((name, b"x"),))), b"")
    done = extract(archive.bytes(), target)
    assert (target / "a").exists()
    assert os.fsdecode(name) not in os.listxattr(target / "a")
    assert len(done.warnings) == 1


def test_impossible_numbers_do_not_end_the_restore(target: Path) -> None:
    archive = Hostile()
    archive.encoder.add_file(b"a", Stat(0o100644, 0, 2**32 - 1, 2**32 - 1, 2**63 - 1, 0), b"", b"x")
    archive.encoder.add_file(b"b", Stat(0o100644, 2**64 - 1, 0, 0, -(2**63), 999_999_999), b"", b"x")
    archive.encoder.add_device(b"c", Stat(0o20600), 2**64 - 1, 2**64 - 1)
    archive.encoder.add_file(b"d", FILE, b"", b"x")
    done = extract(archive.bytes(), target)
    assert sorted(path.name for path in target.iterdir()) == ["a", "b", "d"]
    assert done.skipped == 1


def test_a_name_twice(target: Path) -> None:
    archive = Hostile()
    archive.encoder.add_file(b"a", FILE, b"", b"first")
    archive.encoder.add_file(b"a", FILE, b"", b"second")
    with pytest.raises(Conflict):
        extract(archive.bytes(), target)
