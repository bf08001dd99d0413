"""Directories by descriptor: a name from outside is only ever one path component, and a symbolic link is never followed.

Everything below the base of a datastore is reached from an open descriptor, one component at a time (O_NOFOLLOW), so that
neither a link planted inside the datastore nor a directory swapped during the walk leads out of it.
Functions here raise OSError; the callers translate it, because they know what they were doing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # non-blocking: a FIFO must not hang the open
Owner = tuple[int, int]  # uid, gid


def parts(path: str) -> list[str]:
    """The components of a relative path that this room has built itself."""
    return [part for part in path.split("/") if part]


def open_below(base: int, components: Iterable[str]) -> int:
    """A descriptor of the directory reached from `base`; the caller closes it."""
    current = os.dup(base)
    for name in components:
        try:
            following = os.open(name, DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current


@contextmanager
def directory(base: int, path: str) -> Iterator[int]:
    """The directory `path` below `base`, open while the block runs."""
    descriptor = open_below(base, parts(path))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_below(base: int, path: str, *, owner: Owner | None, sync: bool = False) -> bool:
    """Make `path` and what is missing above it, mode 0777 less the umask. True when the last component is new.

    sync: each new name survives a power cut on return.
    """
    made = False
    current = os.dup(base)
    try:
        for name in parts(path):
            made = make_one(current, name, owner=owner, sync=sync)
            following = os.open(name, DIRECTORY, dir_fd=current)
            os.close(current)
            current = following
    finally:
        os.close(current)
    return made


def make_one(parent: int, name: str, *, owner: Owner | None, sync: bool = False) -> bool:
    """Make one directory; False when it is there already."""
    try:
        os.mkdir(name, 0o777, dir_fd=parent)
    except FileExistsError:
        return False
    if owner is not None:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    if sync:
        os.fsync(parent)
    return True


def open_regular(parent: int, name: str) -> int:
    """A descriptor for reading a regular file. Raises OSError with ELOOP for a link and for any other kind of file."""
    descriptor = os.open(name, FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(40, "not a regular file", name)
    return descriptor


def read_all(descriptor: int) -> bytes:
    """The whole content of an open regular file, from its start."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size + 1, 0)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), len(data))):
        data += more
    return data


def write_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write everything at `offset`, in pieces that the page cache takes well (a single 4 MiB write costs twice the time)."""
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done : done + PIECE_BYTES], offset + done)


PIECE_BYTES = 512 * 1024


def regular(parent: int, name: str) -> os.stat_result | None:
    """What the system knows of a regular file; None when there is no such file. Other kinds of file count as none."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def folders(parent: int) -> list[str]:
    """Names of the directories in a directory, links left out, in no order."""
    with os.scandir(parent) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
