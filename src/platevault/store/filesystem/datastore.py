"""A datastore in a directory, byte-compatible with Proxmox Backup Server in both directions.

Source: spec formats §1, §4. Layers, each in its own module: Site (open directory, locks), namespaces, groups, snapshots, content of
snapshots; chunks beside them. This module puts them together.
"""

from __future__ import annotations

import errno
import json
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platevault.clock import Clock
from platevault.store.datastore import Datastore, IndexFile, Space
from platevault.store.filesystem import dirs, index_walk, layout
from platevault.store.filesystem.chunk_files import FilesystemChunks
from platevault.store.filesystem.lock_files import LockFiles
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.process_lock import Hold, process_lock
from platevault.store.filesystem.replace import replace_file
from platevault.store.filesystem.snapshot_content import SnapshotContent
from platevault.store.filesystem.syncfs import syncfs
from platevault.store.filesystem.trouble import StorageFailed, translated

GC_STATUS = ".gc-status"


class FilesystemDatastore(SnapshotContent):
    """One open datastore. Any thread may use it; several objects and processes may serve the same directory.

    It keeps its directories open as long as somebody holds the object, or until `close`.
    """

    chunks_class = FilesystemChunks

    def __init__(self, name: str, path: Path, *, locks_dir: Path, clock: Clock, sync_level: SyncLevel = SyncLevel.FILESYSTEM) -> None:
        """Open the datastore in `path` as it is. Raises NoDatastore for a foreign, incomplete or newer directory.

        locks_dir: where this machine keeps lock files; those of this datastore go to `<locks_dir>/<name>`. Two programs that serve
        the same directory must be given the same one.
        """
        base, chunks_dir = layout.open_base(path)
        owner = layout.owner_for(base)
        locks = LockFiles(locks_dir / name, clock, owner=owner)
        self._closing = weakref.finalize(self, os.close, base)
        try:
            with translated("opening datastore", str(path)):
                self._process_lock = process_lock(base, str(path), clock=clock, owner=owner)
        except BaseException:
            os.close(chunks_dir)
            raise
        self.chunks = self.chunks_class(
            chunks_dir,
            f"{path}/.chunks",
            owner=owner,
            sync_level=sync_level,
            stripes=self._process_lock.stripes,
            doubts=self._process_lock.doubts,
        )
        self._listed = {}
        super().__init__(name, path, base, locks=locks, clock=clock, sync_level=sync_level, owner=owner)

    @classmethod
    def create(
        cls, name: str, path: Path, *, locks_dir: Path, clock: Clock, sync_level: SyncLevel = SyncLevel.FILESYSTEM
    ) -> FilesystemDatastore:
        """Make an empty datastore in `path` and open it. Raises DirectoryInUse when there is something in the directory."""
        layout.make(path)
        return cls(name, path, locks_dir=locks_dir, clock=clock, sync_level=sync_level)

    def close(self) -> None:
        """Let go of the directory at once, so that its file system can be unmounted. No call may follow. Twice is harmless.

        Who cannot know whether the object is still in use just drops it: then its last user lets go.
        """
        self._base = -1
        self.chunks.close()
        self._closing()
        self.__dict__.pop("_process_lock", None)  # `.lock` is closed when nobody has its lock object any more

    # the whole store
    def index_files(self) -> Iterator[IndexFile]:
        """Every index below the base. Raises StorageFailed for an unreadable directory, and for a link where backups belong.

        While a collection holds the store, indexes that got their names since it began come last: the walk may have missed them.
        """
        with translated("looking for indexes in", str(self._base_path)):
            yield from index_walk.walk(self._base)
            for path in self._process_lock.published():
                found = index_walk.look_at(self._base, path)
                if found is not None:
                    yield found

    def _note_index(self, path: str) -> None:
        self._process_lock.publish(path)

    def flush(self) -> None:
        """On return everything written so far survives a power cut, as far as the sync level promises: one syncfs for `filesystem`,
        nothing for `file` (done at each write) and `none`. Raises StorageFailed when the disk has lost writes.
        """
        begin = self._clock.now()
        if self._sync_level is SyncLevel.FILESYSTEM:
            with translated("syncing datastore", str(self._base_path)):
                self._sync_all()
        if self._sync_level is not SyncLevel.NONE:
            self._process_lock.doubts.note_flushed(self._base, begin)

    def _sync_all(self) -> None:
        """The kernel tells of lost writes once; all who were writing then have to know."""
        try:
            syncfs(self._base)
        except OSError:
            self._process_lock.note_lost_writes(self._base, self._clock)
            raise
        if self._process_lock.has_lost_writes():
            raise StorageFailed(
                f"the disk of '{self._base_path}' has lost writes while backups were running: they cannot be finished, back up again",
                path=str(self._base_path),
                errno=errno.EIO,
            )

    def hold_for_writing(self) -> Hold:
        """Shared hold: while it lasts, garbage collection keeps chunks younger than its begin. Raises StoreBusy."""
        with translated("locking", str(self._base_path)):
            return self._process_lock.share(self._clock)

    def hold_for_collection(self) -> Hold:
        """Exclusive hold for garbage collection. Raises StoreBusy when another process writes or a collection runs."""
        with translated("locking", str(self._base_path)):
            return self._process_lock.exclude()

    def oldest_writer(self) -> float | None:
        """Begin of the oldest shared hold in this process, seconds since the epoch."""
        return self._process_lock.oldest()

    def load_gc_status(self) -> dict[str, Any] | None:
        """What the last successful garbage collection wrote; None when there is none or it cannot be understood."""
        with translated("reading", GC_STATUS):
            if dirs.regular(self._base, GC_STATUS) is None:
                return None
            descriptor = dirs.open_regular(self._base, GC_STATUS)
            try:
                raw = dirs.read_all(descriptor)
            finally:
                os.close(descriptor)
        try:
            status = json.loads(raw)
        except ValueError:
            return None
        return status if isinstance(status, dict) else None

    def save_gc_status(self, status: dict[str, Any]) -> None:
        """Replace the status as a whole."""
        raw = json.dumps(status, separators=(",", ":")).encode()
        with translated("writing", GC_STATUS):
            replace_file(self._base, GC_STATUS, raw, owner=self._owner, sync=self._sync_level)

    def space(self) -> Space:
        """Bytes of the file system as its statvfs tells; `available` is what a process without privileges can still use."""
        with translated("looking at", str(self._base_path)):
            found = os.fstatvfs(self._base)
        block = found.f_frsize
        return Space(found.f_blocks * block, (found.f_blocks - found.f_bfree) * block, found.f_bavail * block)


def _fits(store: FilesystemDatastore) -> Datastore:
    """mypy checks here that the class is a Datastore."""
    return store
