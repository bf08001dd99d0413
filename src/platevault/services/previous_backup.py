"""The snapshot before the one that is written, as far as a session may use it. Source: spec wire-protocol §2.5 #14-#15, §3.4, §3.9."""

from __future__ import annotations

from typing import BinaryIO

from platevault.errors import Invalid, NotFound
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.formats.names import GroupName, Namespace, SnapshotName
from platevault.store.datastore import Datastore


class NoPrevious(Invalid):
    """There is no previous backup that can be used, or it lacks the index that was asked for."""


def find_previous(store: Datastore, ns: Namespace, group: GroupName) -> SnapshotName | None:
    """The newest finished snapshot of a group; None when there is none, or when it failed verification.

    No older one takes the place of one that failed: the client shall send everything anew. Raises Corrupt or Unavailable when its
    manifest does not load.
    """
    newest = next((entry.name for entry in store.snapshots(ns, group) if entry.finished), None)
    if newest is None:
        return None
    state = store.read_manifest(ns, newest).unprotected.get("verify_state")
    return None if isinstance(state, dict) and state.get("state") == "failed" else newest


class PreviousBackup:
    """The previous snapshot, or the lack of one. Its shared lock is held by the session."""

    def __init__(self, store: Datastore, ns: Namespace, name: SnapshotName | None) -> None:
        self._store, self._ns, self._name = store, ns, name

    @property
    def time(self) -> int | None:
        """Seconds since the epoch."""
        return None if self._name is None else self._name.time

    @property
    def name(self) -> SnapshotName:
        """Raises NoPrevious."""
        if self._name is None:
            raise NoPrevious("no valid previous backup")
        return self._name

    def has_vanished(self) -> bool:
        """Whether somebody removed it in spite of the lock."""
        return self._name is not None and not self._store.snapshot_exists(self._ns, self._name)

    def open_file(self, archive: str) -> BinaryIO:
        """A file as it is stored. Raises NoPrevious, NotFound."""
        return self._store.open_file(self._ns, self.name, archive)

    def index(self, archive: str) -> FixedIndex | DynamicIndex:
        """An index. Raises NoPrevious, also when the snapshot does not have it; Corrupt."""
        try:
            return self._store.open_index(self._ns, self.name, archive)
        except NotFound as error:
            raise NoPrevious(f"previous backup '{self.name}' has no index '{archive}'") from error

    def base(self, archive: str, size: int | None, csum: str) -> FixedIndex:
        """The index to begin a new one of an image of `size` bytes with, if it has the checksum `csum` (64 hex digits).

        Raises NoPrevious when it does not fit, Invalid without a size.
        """
        index = self.index(archive)
        if size is None:
            raise Invalid("parameter 'size' is needed together with 'reuse-csum'")
        if not isinstance(index, FixedIndex) or index.chunk_size != CHUNK_BYTES:
            raise NoPrevious(f"'{archive}' of the previous backup has no chunks of {CHUNK_BYTES} bytes")
        found = index.checksum().hex()
        if found != csum:
            raise NoPrevious(f"checksum of '{archive}' in the previous backup is {found}, not '{csum[:64]}'")
        if index.count != -(-size // CHUNK_BYTES):
            raise NoPrevious(f"'{archive}' has {index.count} chunks in the previous backup, an image of {size} bytes has not")
        return index
