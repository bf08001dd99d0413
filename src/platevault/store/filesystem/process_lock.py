"""The file `.lock` of a datastore: a POSIX record lock shared by everybody who writes, exclusive for garbage collection.

Source: spec formats §1.6, administration §1.1. Record locks belong to the process and are lost when *any* descriptor of the file
is closed in it; so the file is opened once a process (one `ProcessLock` an inode), whatever the number of datastore objects.
Inside the process shared holds are counted and may coexist with the exclusive one; the begin of the oldest hold is what
garbage collection must respect. Whatever else all objects for one directory must share within the process lives here, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref

from platevault.clock import Clock
from platevault.errors import Conflict
from platevault.store.filesystem import dirs
from platevault.store.filesystem.doubts import Doubts, boot_id

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
STRIPES = 256  # far more than threads that insert chunks at once


class StoreBusy(Conflict):
    """Another process holds the lock of the datastore, or a garbage collection runs already. Facts: `path`."""


class Hold:
    """One shared or exclusive hold; leaving the block or `release` ends it, twice is harmless."""

    def __init__(self, lock: ProcessLock, number: int | None) -> None:
        self._lock: ProcessLock | None = lock
        self._number = number

    def release(self) -> None:
        lock, self._lock = self._lock, None  # a hold that lies about in a traceback must not keep `.lock` open
        if lock is not None:
            lock._end(self._number)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ProcessLock:
    """The record lock of this process on one `.lock` file. `_guard` protects the counters, the list, and the state of the kernel's lock.

    stripes: serialise decisions about the chunk files of one digest. doubts: which of these files may be torn.
    """

    def __init__(self, descriptor: int, path: str, doubts: Doubts) -> None:
        self.doubts = doubts
        self.stripes = tuple(threading.Lock() for _ in range(STRIPES))
        self._descriptor = descriptor
        self._path = path
        self._guard = threading.Lock()
        self._begins: dict[int, float] = {}  # shared holds: number -> begin, seconds since the epoch
        self._next = 0
        self._exclusive = False
        self._published: list[str] = []
        self._lost_at = -1.0

    def share(self, clock: Clock) -> Hold:
        """A shared hold from now on. Raises StoreBusy when another process holds the file exclusively."""
        with self._guard:
            if not self._begins and not self._exclusive:
                self._lock(fcntl.LOCK_SH)
            self._next += 1
            self._begins[self._next] = clock.now()
            return Hold(self, self._next)

    def exclude(self) -> Hold:
        """The exclusive hold. Raises StoreBusy when another process holds any lock, or this one holds it exclusively already."""
        with self._guard:
            if self._exclusive:
                raise StoreBusy("a garbage collection of this datastore is already running", path=self._path)
            self._lock(fcntl.LOCK_EX)
            self._exclusive = True
            self._published = []
            return Hold(self, None)

    def oldest(self) -> float | None:
        """Begin of the oldest shared hold of this process."""
        with self._guard:
            return min(self._begins.values(), default=None)

    def publish(self, path: str) -> None:
        """Note an index that has just got its name: a walk through the directories that is under way may have missed it.

        To be called before the index that its chunks were taken from may be removed, so within the shared hold of its writer.
        """
        with self._guard:
            if self._exclusive:
                self._published.append(path)

    def published(self) -> list[str]:
        """Indexes that got their names since the exclusive hold began."""
        with self._guard:
            return list(self._published)

    def note_lost_writes(self, base: int, clock: Clock) -> None:
        """Remember that data on its way to the disk was lost until now."""
        with self._guard:
            self._lost_at = clock.now()
        self.doubts.note_lost(base, clock.now())

    def has_lost_writes(self) -> bool:
        """Whether a shared hold that is still there began before that."""
        with self._guard:
            return any(begin <= self._lost_at for begin in self._begins.values())

    def _end(self, number: int | None) -> None:
        with self._guard:
            if number is None:
                self._exclusive = False
                self._published = []
                self._lock(fcntl.LOCK_SH if self._begins else fcntl.LOCK_UN)
                return
            del self._begins[number]
            if not self._begins and not self._exclusive:
                self._lock(fcntl.LOCK_UN)

    def _lock(self, kind: int) -> None:
        try:
            fcntl.lockf(self._descriptor, kind | (0 if kind == fcntl.LOCK_UN else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise StoreBusy(f"'{self._path}' is locked by another process", path=self._path) from error


# One ProcessLock an inode. `_OPENING` is reentrant, because the garbage collector may end a lock while another one is being opened.
_OPEN: weakref.WeakValueDictionary[tuple[int, int], ProcessLock] = weakref.WeakValueDictionary()
_OPENING = threading.RLock()
_LEFT: dict[tuple[int, int], list[int]] = {}  # descriptors that may only be closed together with a newer one


def process_lock(base: int, path: str, *, clock: Clock, owner: dirs.Owner | None) -> ProcessLock:
    """The lock object of `.lock` in the directory `base`, the same one for every caller in this process. Raises OSError."""
    with _OPENING:
        seen = os.stat(".lock", dir_fd=base, follow_symlinks=False)
        key = (seen.st_dev, seen.st_ino)
        known = _OPEN.get(key)
        if known is None:
            doubts = Doubts(base, clock.now(), boot=boot_id(), owner=owner)
            descriptor = _open(base)
            known = _OPEN[key] = ProcessLock(descriptor, f"{path}/.lock", doubts)
            weakref.finalize(known, _end, key, descriptor)
        return known


def _open(base: int) -> int:
    """For writing, which exclusive locks need; for reading where the file system or its modes allow no more: backups can be restored."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(".lock", os.O_RDWR | flags, dir_fd=base)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        return os.open(".lock", os.O_RDONLY | flags, dir_fd=base)


def _end(key: tuple[int, int], descriptor: int) -> None:
    """Close the descriptor of a lock that nobody uses any more, unless that would take away the locks of a newer one for the same file."""
    with _OPENING:
        left = [descriptor, *_LEFT.pop(key, [])]
        if _OPEN.get(key) is not None:
            _LEFT[key] = left
            return
        for one in left:
            os.close(one)
