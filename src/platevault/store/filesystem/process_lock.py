"""The file `.lock` of a datastore: a POSIX record lock shared by everybody who writes, exclusive for garbage collection.

Source: spec formats §1.6, administration §1.1. Record locks belong to the process and are lost when *any* descriptor of the file
is closed in it; so the file is opened once a process (one `ProcessLock` an inode), whatever the number of datastore objects.
Inside the process shared holds are counted and may coexist with the exclusive one; the begin of the oldest hold is what
garbage collection must respect.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref

from platevault.clock import Clock
from platevault.errors import Conflict


class StoreBusy(Conflict):
    """Another process holds the lock of the datastore, or a garbage collection runs already. Facts: `path`."""


class Hold:
    """One shared or exclusive hold; leaving the block or `release` ends it, twice is harmless."""

    def __init__(self, lock: ProcessLock, number: int | None) -> None:
        self._lock = lock
        self._number = number
        self._released = False

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._lock._end(self._number)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ProcessLock:
    """The record lock of this process on one `.lock` file. `_guard` protects the counters and the state of the kernel's lock."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path
        self._guard = threading.Lock()
        self._begins: dict[int, float] = {}  # shared holds: number -> begin, seconds since the epoch
        self._next = 0
        self._exclusive = False
        weakref.finalize(self, os.close, descriptor)

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
            return Hold(self, None)

    def oldest(self) -> float | None:
        """Begin of the oldest shared hold of this process."""
        with self._guard:
            return min(self._begins.values(), default=None)

    def _end(self, number: int | None) -> None:
        with self._guard:
            if number is None:
                self._exclusive = False
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


_OPEN: weakref.WeakValueDictionary[tuple[int, int], ProcessLock] = weakref.WeakValueDictionary()
_OPENING = threading.Lock()


def process_lock(base: int, path: str) -> ProcessLock:
    """The lock object of `.lock` in the directory `base`, the same one for every caller in this process. Raises OSError."""
    with _OPENING:
        seen = os.stat(".lock", dir_fd=base, follow_symlinks=False)
        known = _OPEN.get((seen.st_dev, seen.st_ino))
        if known is not None:
            return known
        descriptor = os.open(".lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=base)
        lock = ProcessLock(descriptor, f"{path}/.lock")
        _OPEN[(seen.st_dev, seen.st_ino)] = lock
        return lock
