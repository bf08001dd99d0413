"""Filesystem datastores for tests: real ones, whose 65536 chunk directories are made when first needed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from platevault.clock import Clock, SystemClock
from platevault.store.filesystem.chunk_files import FilesystemChunks
from platevault.store.filesystem.datastore import FilesystemDatastore
from platevault.store.filesystem.options import SyncLevel


class SparseChunks(FilesystemChunks):
    """Chunk files as always; a missing chunk directory is made instead of refused, which saves seconds a store."""

    def _open_folder(self, digest: bytes) -> int:
        with suppress(FileExistsError):
            os.mkdir(digest.hex()[:4], 0o750, dir_fd=self._dir)
        return super()._open_folder(digest)


class SparseDatastore(FilesystemDatastore):
    """A FilesystemDatastore with SparseChunks."""

    chunks: SparseChunks

    def __init__(self, name: str, path: Path, *, locks_dir: Path, clock: Clock, sync_level: SyncLevel = SyncLevel.FILESYSTEM) -> None:
        super().__init__(name, path, locks_dir=locks_dir, clock=clock, sync_level=sync_level)
        self.chunks = SparseChunks(self._chunks_dir, f"{path}/.chunks", owner=self._owner, sync_level=sync_level)


def sparse_store(
    where: Path, *, name: str = "store", clock: Clock | None = None, sync_level: SyncLevel = SyncLevel.FILESYSTEM
) -> SparseDatastore:
    """Open the datastore `where/name`, made if it is missing; locks in `where/locks`."""
    path = where / name
    if not path.exists():
        path.mkdir(0o755, parents=True)
        (path / ".chunks").mkdir(0o750)
        (path / ".lock").touch(0o644)
    return SparseDatastore(name, path, locks_dir=where / "locks", clock=clock or SystemClock(), sync_level=sync_level)
