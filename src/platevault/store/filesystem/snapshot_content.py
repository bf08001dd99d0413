"""The files inside a snapshot directory: manifest, blobs, indexes. Source: spec formats §4.3, §5.

Archive names come from outside and are checked before they become part of a path. Reads never follow a symbolic link.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from platevault.errors import Conflict
from platevault.formats import dynamic_index, fixed_index, manifest
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.manifest import Manifest
from platevault.formats.names import MANIFEST_NAME, Namespace, SnapshotName, check_archive_name
from platevault.store.filesystem import dirs
from platevault.store.filesystem.index_writers import DynamicIndexFile, FixedIndexFile
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.replace import replace_file
from platevault.store.filesystem.snapshots import SnapshotFiles, snapshot_path
from platevault.store.filesystem.trouble import translated


class FileExists(Conflict):
    """The snapshot has a file of this name already. Facts: `path`."""


class SnapshotContent(SnapshotFiles):
    """The layer of a filesystem datastore that reads and writes the files of a snapshot."""

    def read_manifest(self, ns: Namespace, snapshot: SnapshotName) -> Manifest:
        """Raises NotInStore without manifest (the snapshot is unfinished), Corrupt when it does not decode."""
        return manifest.decode_blob(self.read_file(ns, snapshot, MANIFEST_NAME))

    def update_manifest(self, ns: Namespace, snapshot: SnapshotName, change: Callable[[Manifest], Manifest]) -> None:
        """Read, change and rewrite it under the manifest lock (waits up to 5 s, then Locked)."""
        with self._locks.manifest(ns, snapshot):
            changed = manifest.encode_blob(change(self.read_manifest(ns, snapshot)))
            with self._directory("writing manifest of", snapshot_path(ns, snapshot)) as inside:
                replace_file(inside, MANIFEST_NAME, changed, owner=self._owner, sync=self._sync_level)

    def write_blob(self, ns: Namespace, snapshot: SnapshotName, name: str, blob: bytes | memoryview, *, replace: bool = True) -> None:
        """Store a blob as it is; the caller has checked it. Raises FileExists when it is there and `replace` is false.

        A manifest makes the snapshot visible. So everything that it reaches is made durable before it gets its name, and the name
        before the call returns: a backup may be reported good then.
        """
        check_archive_name(name)
        sync = SyncLevel.FILE if self._sync_files else SyncLevel.NONE  # a new blob is covered by the flush before the manifest
        if name == MANIFEST_NAME:
            self.flush()
            sync = SyncLevel.NONE if self._sync_level is SyncLevel.NONE else SyncLevel.FILE
        try:
            with self._directory("writing blob in", snapshot_path(ns, snapshot)) as inside:
                replace_file(inside, name, blob, owner=self._owner, sync=sync, exclusive=not replace)
        except Exception as error:
            if isinstance(error.__cause__, FileExistsError):
                raise FileExists(f"'{name}' exists already in '{snapshot}'", path=snapshot_path(ns, snapshot)) from error
            raise

    def read_file(self, ns: Namespace, snapshot: SnapshotName, name: str) -> bytes:
        """A whole file of the snapshot, as it is on disk. Raises NotInStore, StorageFailed."""
        with self.open_file(ns, snapshot, name) as file, translated("reading", name):
            return dirs.read_all(file.fileno())

    def open_file(self, ns: Namespace, snapshot: SnapshotName, name: str) -> BinaryIO:
        """A file of the snapshot, unbuffered. Raises NotInStore when missing."""
        check_archive_name(name)
        return self._open(snapshot_path(ns, snapshot), name)

    def open_index(self, ns: Namespace, snapshot: SnapshotName, name: str) -> FixedIndex | DynamicIndex:
        """The index, checked for its length and magic, not its checksum. Raises NotInStore, Corrupt.

        It is read into memory (8 MiB for an image of 1 TiB), not mapped: an unreadable sector is an error then, not a signal.
        """
        return _decode(name, self.read_file(ns, snapshot, name))

    def open_index_file(self, path: str) -> FixedIndex | DynamicIndex:
        """The index at a path that `index_files` gave, with its checksum checked: one turned bit would make another chunk look needed."""
        folder, _, name = path.rpartition("/")
        with self._open(folder, name) as file, translated("reading", path):
            return _decode(name, dirs.read_all(file.fileno()), check_sum=True)

    def _open(self, folder: str, name: str) -> BinaryIO:
        with self._directory("opening", folder) as inside:
            return os.fdopen(dirs.open_regular(inside, name), "rb", buffering=0)

    def create_fixed_index(
        self, ns: Namespace, snapshot: SnapshotName, name: str, *, size: int | None, base: FixedIndex | None = None
    ) -> FixedIndexFile:
        """A new fixed index. size: of the image in bytes, None when not known yet. base: starts with a copy of its digests."""
        return FixedIndexFile(
            self._open_snapshot(ns, snapshot, name),
            name,
            size=size,
            base=base,
            owner=self._owner,
            ctime=int(self._clock.now()),
            sync=self._sync_files,
            published=self._publication(ns, snapshot, name),
        )

    def create_dynamic_index(self, ns: Namespace, snapshot: SnapshotName, name: str) -> DynamicIndexFile:
        """A new dynamic index."""
        parent = self._open_snapshot(ns, snapshot, name)
        return DynamicIndexFile(
            parent,
            name,
            owner=self._owner,
            ctime=int(self._clock.now()),
            sync=self._sync_files,
            published=self._publication(ns, snapshot, name),
        )

    def _publication(self, ns: Namespace, snapshot: SnapshotName, name: str) -> Callable[[], None]:
        return lambda: self._note_index(f"{snapshot_path(ns, snapshot)}/{name}")

    def _note_index(self, path: str) -> None:
        """An index has got its name."""
        raise NotImplementedError

    def _open_snapshot(self, ns: Namespace, snapshot: SnapshotName, name: str) -> int:
        check_archive_name(name)
        path = snapshot_path(ns, snapshot)
        with translated("opening snapshot", path):
            return dirs.open_below(self._base, dirs.parts(path))

    def flush(self) -> None:
        """On return everything written so far survives a power cut, as far as the sync level promises."""
        raise NotImplementedError


def _decode(name: str, raw: bytes, *, check_sum: bool = False) -> FixedIndex | DynamicIndex:
    if name.endswith(".fidx"):  # the name may be any that a stray file has
        return fixed_index.decode(raw, check_sum=check_sum)
    return dynamic_index.decode(raw, check_sum=check_sum)
