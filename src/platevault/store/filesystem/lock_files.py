"""Lock files of groups, snapshots and manifests, named and taken as Proxmox Backup Server does since 3.3.5.

Source: spec formats §4.6, vectors names.json. The files lie outside the datastore, in a directory of this machine, so that a
datastore may be removed under a lock. They get the mode and the owner that the reference gives them, so that both programs can use
them. flock belongs to the open file: two threads that open the file each conflict as two
processes do. A lock counts only if its path still names the locked inode, because removal of a snapshot removes its lock file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from platevault.clock import Clock
from platevault.errors import Conflict
from platevault.formats.names import GroupName, Namespace, SnapshotName
from platevault.formats.upid import escape_id
from platevault.store.filesystem.dirs import Owner
from platevault.store.filesystem.trouble import translated

MANIFEST_TIMEOUT_S = 5.0
RETRY_S = 0.01  # between two attempts on a manifest lock; holders keep it for a few milliseconds
MODE = 0o660  # whatever the umask: the group of the owner may lock, too
OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
LONGEST_NAME = 254  # a file name has at most 255 bytes; from 255 on names are hashed


class Locked(Conflict):
    """Somebody else holds the lock. Facts: `path`."""


class FileLock:
    """One held flock."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self.path = path

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the lock file while it is held, then release: whoever waits for it finds that the inode is gone."""
        if self._descriptor is not None:
            _drop(self.path)
        self.release()

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LockFiles:
    """The lock directory of one datastore."""

    def __init__(self, directory: Path, clock: Clock, *, owner: Owner | None = None) -> None:
        """owner: to whom new files are given, see `layout.owner_for`."""
        self.directory = directory
        self._owner = owner
        self._clock = clock

    def group(self, ns: Namespace, group: GroupName) -> FileLock:
        """The exclusive lock on a group; raises Locked at once."""
        return self._take(lock_path(ns, str(group)), shared=False, what=f"group '{group}'")

    def snapshot(self, ns: Namespace, snapshot: SnapshotName, *, shared: bool) -> FileLock:
        """The lock on a snapshot; raises Locked at once."""
        return self._take(lock_path(ns, str(snapshot)), shared=shared, what=f"snapshot '{snapshot}'")

    def manifest(self, ns: Namespace, snapshot: SnapshotName) -> FileLock:
        """The exclusive lock on a manifest; waits up to 5 s, then raises Locked."""
        path = lock_path(ns, f"{snapshot}/.index.json.lck")
        deadline = self._clock.monotonic() + MANIFEST_TIMEOUT_S
        while True:
            try:
                return self._take(path, shared=False, what=f"manifest of '{snapshot}'")
            except Locked:
                if self._clock.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_S)

    def forget_snapshot(self, ns: Namespace, snapshot: SnapshotName) -> None:
        """Remove the lock file of a snapshot that is gone. The caller holds the lock: a waiter then finds another inode."""
        _drop(self.directory / lock_path(ns, str(snapshot)))

    def _take(self, relative: str, *, shared: bool, what: str) -> FileLock:
        path = self.directory / relative
        with translated("locking", str(path)):
            descriptor = self._open(path)
            try:
                held = _try_flock(descriptor, shared=shared) and _same_inode(descriptor, path)
            except BaseException:
                os.close(descriptor)
                raise
        if not held:
            os.close(descriptor)
            raise Locked(f"{what} is locked by another operation", path=str(path))
        return FileLock(descriptor, path)

    def _open(self, path: Path) -> int:
        """The lock file, made if it is missing: it may go at any moment, because removal of a snapshot removes its lock."""
        while True:
            with suppress(FileNotFoundError):
                return os.open(path, OPEN)
            self._make_folders(path.parent)
            with suppress(FileExistsError, FileNotFoundError):
                descriptor = os.open(path, OPEN | os.O_CREAT | os.O_EXCL, MODE)
                try:
                    os.fchmod(descriptor, MODE)
                    if self._owner is not None:
                        os.fchown(descriptor, *self._owner)
                except BaseException:
                    os.close(descriptor)
                    raise
                return descriptor

    def _make_folders(self, folder: Path) -> None:
        """The directory and those above it; what is new below the lock directory of the datastore gets its owner."""
        if folder.is_dir():
            return
        if folder == self.directory:
            folder.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._make_folders(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            if self._owner is not None:
                os.chown(folder, *self._owner)


def _drop(path: Path) -> None:
    with suppress(OSError):  # a lock file that stays is harmless: it is empty and nobody holds it
        path.unlink()


def _try_flock(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _same_inode(descriptor: int, path: Path) -> bool:
    mine = os.fstat(descriptor)
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def lock_path(ns: Namespace, relative: str) -> str:
    """Where the lock file of `relative` (`vm/100`, `vm/100/<time>`) lies below the lock directory of the datastore."""
    folder = ":".join(ns.components)
    name = escape_id(relative)
    if len(name) > LONGEST_NAME:
        name = f"hashed/{name[:80]}...{name[-80:]}-{hashlib.sha256(relative.encode()).hexdigest()}"
    return f"{folder}/{name}" if folder else name
