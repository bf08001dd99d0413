"""Restoring a tree: choice by patterns, what is there already, hard links without their first name, other users."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from kit.archiving import archive
from kit.extracting import extract
from kit.other_user import NOBODY, as_nobody
from kit.pxar_trees import FILE, FOLDER, Node, encode, file, folder, symlink
from kit.recorded_tree import list_tree
from platevault.client.new_file import CannotWrite
from platevault.client.tree.acl import ACCESS_XATTR, DEFAULT_XATTR, default_value
from platevault.client.tree.folder_stack import MAX_OPEN
from platevault.client.tree.inode_flags import FlagReader
from platevault.errors import Conflict, Corrupt
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.entry import Kind
from platevault.formats.pxar.metadata import DefaultAcl, Metadata

TREE = folder(
    etc=folder(passwd=file(b"users"), ssh=folder(config=file(b"ssh"))),
    home=folder(a=folder(notes=file(b"notes")), link=symlink(b"a")),
    top=file(b"top"),
)


def paths(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("piece", [1, 17, 100_000])
def test_everything(target: Path, piece: int) -> None:
    done = extract(encode(TREE), target, piece=piece)
    assert done.warnings == [] or os.geteuid() != 0
    assert paths(target) == ["etc", "etc/passwd", "etc/ssh", "etc/ssh/config", "home", "home/a", "home/a/notes", "home/link", "top"]
    assert (target / "etc" / "passwd").read_bytes() == b"users"
    assert (target / "home" / "link").readlink() == Path("a")
    assert {path.stat().st_mtime for path in target.rglob("*")} == {1_700_000_000}


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (("/etc",), ["etc", "etc/passwd", "etc/ssh", "etc/ssh/config"]),
        (("/etc", "!ssh"), ["etc", "etc/passwd"]),
        (("notes",), ["home", "home/a", "home/a/notes"]),
        (("**/config", "top"), ["etc", "etc/ssh", "etc/ssh/config", "top"]),
        (("link",), ["home", "home/link"]),
        (("nothing",), []),
    ],
)
def test_patterns_choose(target: Path, patterns: tuple[str, ...], wanted: list[str]) -> None:
    extract(encode(TREE), target, *patterns)
    assert paths(target) == wanted


def test_what_is_there_is_kept(target: Path) -> None:
    target.mkdir()
    (target / "top").write_text("mine")
    with pytest.raises(Conflict, match="--overwrite"):
        extract(encode(TREE), target)
    assert (target / "top").read_text() == "mine"


def test_what_is_there_is_replaced_when_asked_for(target: Path, tmp_path: Path) -> None:
    """A link in the place of a file is replaced itself, and what it points to is not touched."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    target.mkdir()
    (target / "top").symlink_to(outside)
    extract(encode(TREE), target, overwrite=True)
    assert (target / "top").read_bytes() == b"top"
    assert not (target / "top").is_symlink()
    assert outside.read_text() == "mine"


def test_directories_that_are_there_are_used_when_asked_for(target: Path) -> None:
    (target / "etc").mkdir(parents=True)
    (target / "etc" / "other").touch()
    with pytest.raises(Conflict, match="--allow-existing-dirs"):
        extract(encode(TREE), target, overwrite=True)
    extract(encode(TREE), target, reuse=True)
    assert "etc/other" in paths(target)
    assert (target / "etc" / "passwd").exists()


def test_a_folder_is_never_replaced_by_a_file(target: Path) -> None:
    (target / "top").mkdir(parents=True)
    with pytest.raises(Conflict, match="not replaced"):
        extract(encode(TREE), target, overwrite=True, reuse=True)


def test_parents_that_were_there_keep_their_own_mode(target: Path) -> None:
    (target / "etc" / "ssh").mkdir(parents=True)
    (target / "etc").chmod(0o711)
    extract(encode(TREE), target, "config", reuse=True)
    assert stat.S_IMODE((target / "etc").stat().st_mode) == 0o711
    assert (target / "etc" / "ssh" / "config").exists()


def linked(flags: int = 0) -> bytes:
    """a/first, b, c/z are one file."""
    out = bytearray()
    encoder = Encoder(out.extend)
    encoder.start_root(FOLDER)
    encoder.start_directory(b"a", FOLDER)
    place = encoder.position
    encoder.add_file(b"first", FILE._replace(flags=flags), b"", b"content")
    encoder.end_directory()
    encoder.add_hardlink(b"b", place, b"a/first")
    encoder.start_directory(b"c", FOLDER)
    encoder.add_hardlink(b"z", place, b"a/first")
    encoder.end_directory()
    encoder.end_directory()
    encoder.finish()
    return bytes(out)


def test_hard_links(target: Path) -> None:
    extract(linked(), target)
    assert (target / "b").samefile(target / "a" / "first")
    assert (target / "c" / "z").stat().st_nlink == 3


def test_a_hard_link_to_an_immutable_file(target: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("immutable files need root")
    done = extract(linked(0x400000), target)
    assert (done.skipped, (target / "b").stat().st_nlink) == (0, 3)
    if not done.warnings:  # else this file system has no flags
        with (target / "a" / "first").open("rb") as restored:
            assert FlagReader().flags(restored.fileno()) == 0x400000


def test_a_hard_link_without_its_first_name_becomes_the_file(target: Path) -> None:
    done = extract(linked(), target, "b", "z")
    assert done.skipped == 0
    assert paths(target) == ["b", "c", "c/z"]
    assert (target / "b").read_bytes() == b"content"
    assert (target / "c" / "z").samefile(target / "b")


def test_a_hard_link_is_not_made_to_a_file_that_only_has_the_name(target: Path) -> None:
    (target / "a").mkdir(parents=True)
    (target / "a" / "first").write_text("mine")
    extract(linked(), target, "b")
    assert (target / "b").read_bytes() == b"content"
    assert (target / "a" / "first").read_text() == "mine"


def test_holes_stay_holes(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "a").open("wb") as sparse:
        sparse.truncate(8 * 1024 * 1024)
        sparse.seek(1_000_003)
        sparse.write(b"island")
    if (source / "a").stat().st_blocks > 1000:
        pytest.skip("no holes in files here")
    extract(archive(source).archive, target)
    assert (target / "a").read_bytes() == (source / "a").read_bytes()
    assert (target / "a").stat().st_blocks < 100


def test_inherited_acls_are_not_kept(target: Path) -> None:
    target.mkdir()
    value = default_value(Metadata(default=DefaultAcl(7, 7, 7, None)))
    assert value is not None
    try:
        os.setxattr(target, DEFAULT_XATTR, value)
    except OSError:
        pytest.skip("no ACLs here")
    extract(encode(TREE), target)
    for path in target.rglob("*"):
        if not path.is_symlink():
            assert {ACCESS_XATTR, DEFAULT_XATTR}.isdisjoint(os.listxattr(path)), path


def test_an_ordinary_user_gets_what_he_may_have(open_place: Path) -> None:
    tree = folder(
        setuid=file(b"x", 0o4755),
        device=Node(Kind.DEVICE, FILE._replace(mode=stat.S_IFCHR | 0o600), device=(1, 3)),
        caps=Node(Kind.FILE, FILE, Metadata(capabilities=bytes(20), xattrs=((b"trusted.a", b"x"),))),
        fifo=Node(Kind.FIFO, FILE._replace(mode=stat.S_IFIFO | 0o640)),
    )
    with as_nobody():
        done = extract(encode(tree), open_place / "target")
    found = {path.name: path.lstat() for path in (open_place / "target").iterdir()}
    assert sorted(found) == ["caps", "fifo", "setuid"]
    assert stat.S_IMODE(found["setuid"].st_mode) == 0o755
    assert stat.S_IMODE(found["fifo"].st_mode) == 0o640
    assert {one.st_uid for one in found.values()} == {NOBODY}
    assert done.skipped == 1
    assert len(done.warnings) == 2
    assert "not root" in done.warnings[0]


def test_a_target_that_cannot_be_made(open_place: Path, tmp_path: Path) -> None:
    (open_place / "file").touch()
    with pytest.raises(Conflict):
        extract(encode(TREE), open_place / "file")
    (open_place / "closed").mkdir(mode=0o700)
    with as_nobody(), pytest.raises(CannotWrite):
        extract(encode(TREE), open_place / "closed" / "target")


def test_a_full_disk_ends_the_restore(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CannotWrite, match="passwd: No space"):
        extract(encode(TREE), target)


def test_a_name_that_the_disk_does_not_take_is_counted(target: Path) -> None:
    tree = folder(a=file())
    tree.children[b"x" * 300] = folder(inside=file())
    tree.children[b"y" * 300] = file()
    tree.children[b"z"] = file()
    done = extract(encode(tree), target)
    assert paths(target) == ["a", "z"]
    assert done.skipped == 2


def test_a_damaged_archive_ends_the_restore(target: Path) -> None:
    with pytest.raises(Corrupt):
        extract(encode(TREE)[:-100], target)


def test_a_tree_deeper_than_descriptors(target: Path) -> None:
    root = node = folder()
    for _ in range(MAX_OPEN + 150):
        node.children[b"d"] = below = folder(f=file(b"x"))
        node = below
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN + 100, hard))
    try:
        done = extract(encode(root), target)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert done.skipped == 0
    assert sum(1 for _ in target.rglob("f")) == MAX_OPEN + 150


def test_a_restored_tree_gives_the_same_archive(recorded_tree: Path, target: Path) -> None:
    first = archive(recorded_tree)
    extract(first.archive, target)
    again = archive(target)
    assert again.contents == first.contents
    assert list(again.entries) == list(first.entries)
    assert [one.mtime_ns for one in list_tree(target)] == [one.mtime_ns for one in list_tree(recorded_tree)]
