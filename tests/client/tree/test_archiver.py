"""Walking a tree: what changes meanwhile, what cannot be read, what is not entered."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.archiving import archive
from kit.other_user import as_nobody
from platevault.client.image_source import UnreadableSource
from platevault.client.tree import folder, folder_stack
from platevault.client.tree.folder_stack import MAX_OPEN
from platevault.client.tree.listing import FILE, list_directory
from platevault.client.tree.options import TreeOptions
from platevault.errors import Invalid, NotFound
from platevault.formats.pxar.entry import Kind

MIB = 1024 * 1024


def write(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_names_are_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    for name in (b"b", b"\xff", b"A", "ü".encode(), "\U0001f600".encode(), "\ue000".encode(), b"a-", b"a"):
        (tmp_path / os.fsdecode(name)).touch()
    names = list(archive(tmp_path).entries)[1:]
    assert names == sorted(names)
    assert len(names) == 8


def test_a_file_of_several_names_is_stored_once(tmp_path: Path) -> None:
    os.link(write(tmp_path / "sub" / "b", b"x" * 1000), tmp_path / "c")
    os.link(tmp_path / "c", tmp_path / "a")
    made = archive(tmp_path)
    assert made.contents == {b"a": b"x" * 1000}
    for name in (b"c", b"sub/b"):
        assert made.entries[name].kind is Kind.HARDLINK
        assert (made.entries[name].target, made.entries[name].first_offset) == (b"a", made.entries[b"a"].offset)
    assert made.catalog_kinds() == {b"": b"d", b"a": b"f", b"c": b"h", b"sub": b"d", b"sub/b": b"h"}


@pytest.mark.parametrize("size", [1, MIB, MIB + 1, 3 * MIB + 17])
def test_content_of_any_size(tmp_path: Path, size: int) -> None:
    data = os.urandom(1000) * (size // 1000 + 1)
    write(tmp_path / "a", data[:size])
    assert archive(tmp_path).contents[b"a"] == data[:size]


def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size, island = 64 * MIB, b"island" * 1000
    with (tmp_path / "a").open("wb") as file:
        file.truncate(size)
        file.seek(32 * MIB + 5)
        file.write(island)
    if (tmp_path / "a").stat().st_blocks > 1000:
        pytest.skip("no holes in files here")
    counts: list[int] = []
    real = os.preadv

    def counted(file: int, buffers: list[memoryview], offset: int) -> int:
        counts.append(real(file, buffers, offset))
        return counts[-1]

    monkeypatch.setattr(os, "preadv", counted)
    found = archive(tmp_path).contents[b"a"]
    assert len(found) == size
    assert found.strip(b"\0") == island
    assert sum(counts) < MIB


def during(monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], object], *, after: int = 0) -> None:
    """Do something behind the call of `os.NAME` that is number `after`: when the archiver has just looked."""
    real, calls = getattr(os, name), [0]

    def intercepted(*args: object, **named: object) -> object:
        result = real(*args, **named)
        calls[0] += 1
        if calls[0] == after + 1:
            action()
        return result

    monkeypatch.setattr(os, name, intercepted)


ROOT_LOOKS = 3  # fstat of the root: for its file systems, for the stack, for its entry


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_file_that_shrinks_is_filled_up_with_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    path = write(tmp_path / "a", b"x" * size)
    during(monkeypatch, "fstat", lambda: os.truncate(path, 400), after=ROOT_LOOKS)
    made = archive(tmp_path)
    assert made.contents[b"a"] == b"x" * 400 + bytes(size - 400)
    assert made.warnings == [f"a: became shorter while it was read: zeros from byte 400 to {size}"]
    assert made.skipped == 0


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_file_that_grows_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    path = write(tmp_path / "a", b"x" * size)
    during(monkeypatch, "fstat", lambda: path.write_bytes(b"x" * size + b"more"), after=ROOT_LOOKS)
    made = archive(tmp_path)
    assert made.contents[b"a"] == b"x" * size
    assert made.warnings == []


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_vanishes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    write(tmp_path / "z")
    path = tmp_path / "a"
    if what == "file":
        path.touch()
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("x")
    real = list_directory

    def list_then_remove(directory: int) -> object:
        names = real(directory)
        path.rmdir() if what == "folder" else path.unlink()
        return names

    monkeypatch.setattr(folder, "list_directory", list_then_remove)
    made = archive(tmp_path)
    assert list(made.contents) == [b"z"]
    assert made.warnings == ["a: vanished before it was read"]
    assert made.skipped == 0


def test_a_symbolic_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write(tmp_path / "secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").symlink_to(secret)
    monkeypatch.setattr(folder, "list_directory", lambda _: [(b"a", FILE)])
    made = archive(tree)
    assert made.contents == {}
    assert made.skipped == 1


def test_a_fifo_in_the_place_of_a_file_does_not_stop_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a")
    monkeypatch.setattr(folder, "list_directory", lambda _: [(b"a", FILE)])
    made = archive(tmp_path)
    assert (list(made.entries), made.skipped) == ([b""], 1)


def test_what_cannot_be_read_is_counted(open_place: Path) -> None:
    write(open_place / "good")
    write(open_place / "hidden").chmod(0)
    write(open_place / "locked" / "inside")
    (open_place / "locked").chmod(0)
    write(open_place / "silent" / "inside")
    (open_place / "silent").chmod(0o311)
    with as_nobody():
        made = archive(open_place)
    assert made.contents == {b"good": b"data"}
    assert made.skipped == 3
    assert len(made.warnings) == 3


def test_files_of_others_are_read(open_place: Path) -> None:
    """Only the owner may leave the access time alone; others read without that."""
    write(open_place / "a").chmod(0o644)
    with as_nobody():
        assert archive(open_place).contents == {b"a": b"data"}


def test_access_times_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    os.utime(path, ns=(1, 2))
    archive(tmp_path)
    assert path.stat().st_atime_ns == 1


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_file_that_breaks_while_it_is_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    write(tmp_path / "a", b"x" * size)
    write(tmp_path / "b", b"")
    monkeypatch.setattr(os, "preadv", broken)
    monkeypatch.setattr(os, "read", broken)
    made = archive(tmp_path)
    assert made.contents == ({b"b": b""} if size < MIB else {b"a": bytes(size), b"b": b""})
    assert made.skipped == 1


def test_no_name_is_linked_to_a_file_that_could_not_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.link(write(tmp_path / "a"), tmp_path / "b")
    real, calls = os.read, [0]

    def broken_once(file: int, size: int) -> bytes:
        calls[0] += 1
        if calls[0] == 1:
            raise OSError(5, "Input/output error")
        return real(file, size)

    monkeypatch.setattr(os, "read", broken_once)
    made = archive(tmp_path)
    assert made.contents == {b"b": b"data"}
    assert made.skipped == 1


def test_a_tree_deeper_than_descriptors(tmp_path: Path) -> None:
    depth = MAX_OPEN + 150
    place = os.open(tmp_path, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("d", dir_fd=place)
        os.close(os.open(f"f{level}", os.O_CREAT, dir_fd=place))
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN + 100, hard))
    try:
        made = archive(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(made.contents) == depth
    assert made.warnings == []


def test_a_folder_that_is_moved_away_ends_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far below, the way back up leads elsewhere: better no backup than one of another place."""
    monkeypatch.setattr(folder_stack, "MAX_OPEN", 1)
    write(tmp_path / "tree" / "a" / "b" / "c" / "file")
    write(tmp_path / "tree" / "a" / "z")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    during(monkeypatch, "read", lambda: (tmp_path / "tree" / "a" / "b").rename(elsewhere / "b"))
    with pytest.raises(UnreadableSource, match="moved"):
        archive(tmp_path / "tree")


def test_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o640)
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o755)
    (tmp_path / "link").symlink_to("nowhere")
    made = archive(tmp_path)
    kinds = {path: entry.kind for path, entry in made.entries.items() if path}
    assert kinds == {b"fifo": Kind.FIFO, b"link": Kind.SYMLINK, b"socket": Kind.SOCKET}
    assert made.catalog_kinds() == {b"": b"d", b"fifo": b"p", b"link": b"l", b"socket": b"s"}


def test_the_entries_of_open_directories_are_limited(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b/1", "b/2", "c"):
        write(tmp_path / name)
    archive(tmp_path, TreeOptions(entries_max=5))
    with pytest.raises(Invalid, match="--entries-max"):
        archive(tmp_path, TreeOptions(entries_max=4))


def test_the_root_must_be_a_directory_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        archive(tmp_path / "nothing")
    with pytest.raises(Invalid):
        archive(write(tmp_path / "file"))
    with pytest.raises(NotFound, match="include"):
        archive(tmp_path, TreeOptions(include_dev=(str(tmp_path / "nothing"),)))


def test_a_virtual_file_system_is_refused() -> None:
    with pytest.raises(Invalid, match="virtual"):
        archive(Path("/proc/self"))


# In a mount namespace of its own: a file system mounted in the tree, and one of the kernel's.
MOUNTED = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from kit.archiving import archive
from kit.other_user import as_nobody
from platevault.client.tree.options import TreeOptions
root = Path({root!r})
for options in (TreeOptions(), TreeOptions(include_dev=(str(root / "disk"),)), TreeOptions(all_file_systems=True)):
    print(*archive(root, options).paths)
"""


def test_other_file_systems_are_entered_when_asked_for(tmp_path: Path) -> None:
    for name in ("disk", "other", "proc"):
        (tmp_path / name).mkdir()
    mounts = f"mount -t tmpfs none {tmp_path}/disk && mount -t tmpfs none {tmp_path}/other && mount -t proc none {tmp_path}/proc"
    script = f"{mounts} && touch {tmp_path}/disk/a {tmp_path}/other/b && exec {sys.executable} -"
    program = MOUNTED.format(path=sys.path, root=str(tmp_path))
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], input=program, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("mounting needs root")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "/ /disk /other /proc",
        "/ /disk /disk/a /other /proc",
        "/ /disk /disk/a /other /other/b /proc",
    ]
