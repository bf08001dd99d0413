"""Filesystem datastores for tests: real ones, whose 65536 chunk directories are made when first needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from platevault.clock import Clock, SystemClock
from platevault.store.datastore import ChunkEntry
from platevault.store.filesystem.chunk_files import FilesystemChunks
from platevault.store.filesystem.chunk_folders import FOLDERS
from platevault.store.filesystem.datastore import FilesystemDatastore
from platevault.store.filesystem.options import SyncLevel


class SparseChunks(FilesystemChunks):
    """Chunk files as always; a missing chunk directory is made instead of refused, which saves seconds a store.

    A scan of all directories only opens those that are there: the list is taken anew when it begins at number 0, or ends.
    """

    _present: frozenset[int] | None = None

    def _open_folder(self, digest: bytes) -> int:
        with suppress(FileExistsError):
            os.mkdir(digest.hex()[:4], 0o750, dir_fd=self._dir)
            self._present = None
        return super()._open_folder(digest)

    def folder(self, number: int) -> list[tuple[str, int, float]]:
        present = self._present
        if number == 0 or present is None:
            present = self._present = frozenset(int(name, 16) for name in os.listdir(self._dir))
        if number == FOLDERS - 1:
            self._present = None
        return super().folder(number) if number in present else []

    def entries(self) -> Iterator[ChunkEntry]:
        for number in sorted(int(name, 16) for name in os.listdir(self._dir)):
            for name, _, _ in super().folder(number):
                yield ChunkEntry(bytes.fromhex(name[:64]), int(name[65]) if len(name) > 64 else None)


class SparseDatastore(FilesystemDatastore):
    """A FilesystemDatastore with SparseChunks."""

    chunks_class = SparseChunks


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
