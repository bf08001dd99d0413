"""The fixed part of a datastore directory: made once, checked at each open, removed at the end.

Source: spec formats §1.1, administration §8.3. Made in an order in which a crash leaves a directory that is refused, never one
that looks complete: `.lock` comes last, when all that is before it is durable.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from platevault.errors import Conflict, Invalid
from platevault.store.filesystem import dirs
from platevault.store.filesystem.chunk_folders import FOLDERS
from platevault.store.filesystem.doubts import FLUSHED
from platevault.store.filesystem.syncfs import syncfs
from platevault.store.filesystem.trouble import NotInStore, translated

CHUNKS = ".chunks"
LOCK = ".lock"
LAYOUT = ".platevault-layout"  # absent in layout 1, which is that of Proxmox Backup Server
NEWEST_LAYOUT = 1
OWN_ENTRIES = ("ns", "ct", "vm", "host", ".gc-status", CHUNKS, FLUSHED, LOCK)


class NoDatastore(Invalid):
    """The directory is no datastore, or one that this program does not understand. Facts: `path`."""


class DirectoryInUse(Conflict):
    """The directory has content that is not ours to touch. Facts: `path`."""


def owner_for(base: int) -> dirs.Owner | None:
    """To whom new files are given: to the owner of the base when we are root and it is not ours; otherwise nobody is asked."""
    found = os.fstat(base)
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 and found.st_uid != 0 else None


def make(path: Path) -> None:
    """Make an empty datastore. Raises DirectoryInUse when the directory has content, StorageFailed when the system refuses.

    Dot files (other than ours) and `lost+found` are not content: file systems put them there.
    """
    with translated("creating datastore", str(path)):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_content(path)
        base = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _make_chunk_dirs(base)
            syncfs(base)
            _make_lock(base)
            os.fsync(base)
        finally:
            os.close(base)


def _refuse_content(path: Path) -> None:
    names = os.listdir(path)
    if CHUNKS in names:
        raise DirectoryInUse(f"'{path}' holds a datastore already", path=str(path))
    foreign = sorted(name for name in names if not name.startswith(".") and name != "lost+found")
    if foreign:
        raise DirectoryInUse(f"'{path}' is not empty: it holds '{foreign[0]}'", path=str(path))


def _make_chunk_dirs(base: int) -> None:
    owner = owner_for(base)
    os.mkdir(CHUNKS, 0o750, dir_fd=base)
    chunks = os.open(CHUNKS, dirs.DIRECTORY, dir_fd=base)
    try:
        os.fchmod(chunks, 0o750)
        if owner is not None:
            os.fchown(chunks, *owner)
        for number in range(FOLDERS):
            os.mkdir(f"{number:04x}", 0o750, dir_fd=chunks)
            os.chmod(f"{number:04x}", 0o750, dir_fd=chunks)  # the reference attaches no other mode, whatever our umask is
            if owner is not None:
                os.chown(f"{number:04x}", *owner, dir_fd=chunks)
    finally:
        os.close(chunks)


def _make_lock(base: int) -> None:
    descriptor = os.open(LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=base)
    try:
        os.fchmod(descriptor, 0o644)
        owner = owner_for(base)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def open_base(path: Path) -> tuple[int, int]:
    """Descriptors of the base and of `.chunks`. Raises NoDatastore, in one line that says what is missing."""
    try:
        with translated("opening datastore", str(path)):
            base = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotInStore as error:
        raise NoDatastore(f"datastore directory '{path}' does not exist", path=str(path)) from error
    try:
        _check_layout(base, path)
        with translated("opening datastore", str(path)):
            return base, os.open(CHUNKS, dirs.DIRECTORY, dir_fd=base)
    except BaseException:
        os.close(base)
        raise


def _check_layout(base: int, path: Path) -> None:
    with translated("opening datastore", str(path)):
        if dirs.regular(base, LAYOUT) is not None:
            descriptor = dirs.open_regular(base, LAYOUT)
            number = os.read(descriptor, 32).strip()
            os.close(descriptor)
            if not number.isdigit() or int(number) > NEWEST_LAYOUT:
                shown = number.decode("ascii", "replace")
                raise NoDatastore(f"'{path}' has layout {shown}, this program knows {NEWEST_LAYOUT}: upgrade it", path=str(path))
        if CHUNKS not in dirs.folders(base):
            raise NoDatastore(f"'{path}' is not a datastore: it has no directory {CHUNKS}", path=str(path))
        if dirs.regular(base, LOCK) is None:
            raise NoDatastore(f"'{path}' is not a complete datastore: it has no file {LOCK}", path=str(path))


def check_remains(path: Path) -> None:
    """Raises NoDatastore unless what is there is a datastore, what an interrupted `destroy` left of one, or nothing at all.

    `.lock` is the last thing that goes, so without it a directory `vm` is not ours.
    """
    with translated("looking at", str(path)):
        foreign = [name for name in OWN_ENTRIES if os.path.lexists(path / name)]
        if foreign and not (path / LOCK).is_file():
            raise NoDatastore(f"'{path}' is not a datastore, it has no file {LOCK}: '{foreign[0]}' in it is not removed", path=str(path))


def destroy(path: Path) -> None:
    """Remove everything of the datastore and nothing else; the base goes when it is empty. The caller has stopped all users of it.

    Snapshots go first and the chunks after them, so that an interrupted removal never leaves snapshots without chunks. Raises NoDatastore
    and removes nothing when the directory was never one: a disk that is not mounted leaves a place where other things may lie.
    """
    check_remains(path)
    with translated("removing datastore", str(path)):
        for name in OWN_ENTRIES:
            entry = path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
    with suppress(OSError):  # foreign files stay, and the base with them
        path.rmdir()
