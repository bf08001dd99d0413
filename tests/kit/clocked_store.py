"""A filesystem datastore whose chunk files carry the times of a manual clock, so that garbage collection sees days pass."""

from __future__ import annotations

import os
from pathlib import Path

from kit.stores import SparseChunks, SparseDatastore
from platevault.clock import ManualClock
from platevault.formats.names import GroupName, Namespace
from platevault.store.datastore import Inserted, SnapshotEntry


class ClockedChunks(SparseChunks):
    """Each sign of use is of the time that the clock shows. Whole inserts only, from one thread."""

    clock: ManualClock

    def insert(self, digest: bytes, blob: bytes | bytearray | memoryview) -> Inserted:
        inserted = super().insert(digest, blob)
        self._stamp(digest)
        return inserted

    def touch(self, digest: bytes) -> bool:
        found = super().touch(digest)
        if found:
            self._stamp(digest)
        return found

    def _stamp(self, digest: bytes) -> None:
        os.utime(self._relative(digest), (self.clock.now(), self.clock.now()), dir_fd=self._dir)


class ClockedDatastore(SparseDatastore):
    """A SparseDatastore with ClockedChunks. Lists are made anew each time: in a fast test nothing ever settles."""

    chunks_class = ClockedChunks

    def snapshots(self, ns: Namespace, group: GroupName) -> list[SnapshotEntry]:
        self._listed.clear()
        return super().snapshots(ns, group)


def clocked_store(where: Path, clock: ManualClock) -> ClockedDatastore:
    """Open the datastore `where/store`, made if it is missing."""
    path = where / "store"
    if not path.exists():
        path.mkdir(0o755, parents=True)
        (path / ".chunks").mkdir(0o750)
        (path / ".lock").touch(0o644)
    store = ClockedDatastore("store", path, locks_dir=where / "locks", clock=clock)
    assert isinstance(store.chunks, ClockedChunks)
    store.chunks.clock = clock
    return store
