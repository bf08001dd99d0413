"""The datastore as services see it: one protocol, several implementations.

Source: spec formats §1, §4. Names are values of `formats.names`, so that text from outside never reaches a path unchecked.
All calls block. Every call is safe from several threads and processes; what excludes what is in docs/design/locks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.manifest import Manifest
from platevault.formats.names import GroupName, Namespace, SnapshotName

Digest = bytes  # 32 bytes


@dataclass(frozen=True, slots=True)
class Inserted:
    """Outcome of a chunk insert: bytes of the file now in the store, and whether the chunk was there already."""

    stored_bytes: int
    existed: bool


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a snapshot directory that the API may show (`*.fidx`, `*.didx`, `*.blob`); size in bytes on disk."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One snapshot of a group as listed without reading its manifest.

    version: changes whenever a file of the snapshot does; None when that cannot be told (yet). What was derived from the content
    may be kept as long as the version stays the same.
    """

    name: SnapshotName
    finished: bool
    protected: bool
    version: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """One file of the chunk directories. `bad` is the number N of a `.N.bad` file, None for a chunk."""

    digest: Digest
    bad: int | None


@dataclass(frozen=True, slots=True)
class ChunkTimes:
    """Size of a stored chunk in bytes and its last sign of use, seconds since the epoch."""

    size: int
    used: float


@dataclass(frozen=True, slots=True)
class IndexFile:
    """An index anywhere below the base: its relative path, and a version that no other file at this path ever had."""

    path: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the file system that holds the datastore."""

    total: int
    used: int
    available: int


@dataclass(slots=True)
class Removed:
    """Counters of a removal, summed over groups and namespaces."""

    groups: int = 0
    snapshots: int = 0
    protected_snapshots: int = 0
    protected_names: list[SnapshotName] = field(default_factory=list)


class Lock(Protocol):
    """A held lock. Releasing twice is harmless; leaving a `with` block releases."""

    def release(self) -> None: ...

    def __enter__(self) -> Lock: ...

    def __exit__(self, *_: object) -> None: ...


class ChunkWriter(Protocol):
    """One chunk arriving in pieces. Nothing is visible under its digest before `commit`."""

    def write(self, piece: bytes | memoryview) -> None: ...

    def written(self) -> bytes:
        """What was written so far, behind zeros in place of the header, for a caller who can check it only as a whole."""
        ...

    def commit(self, header: bytes) -> Inserted:
        """Write the 12 or 44 header bytes in front, give the chunk its name. Raises Conflict by the rules of spec formats §1.4."""
        ...

    def discard(self) -> None:
        """Remove what was written. Harmless after `commit`."""
        ...


class ChunkStore(Protocol):
    """Chunks by digest."""

    def insert(self, digest: Digest, blob: bytes | bytearray | memoryview) -> Inserted: ...

    def begin(self, digest: Digest, *, encoded_bytes: int, header_bytes: int) -> ChunkWriter:
        """Start a streamed insert of a blob of `encoded_bytes` in all, of which the caller will give the first `header_bytes` at commit."""
        ...

    def load(self, digest: Digest) -> bytes:
        """The stored blob, unchecked. Raises NotFound when there is no such chunk, Unavailable when it cannot be read."""
        ...

    def open(self, digest: Digest) -> BinaryIO: ...

    def stored_bytes(self, digest: Digest) -> int | None:
        """Size of the stored blob, None when there is no such chunk."""
        ...

    def touch(self, digest: Digest) -> bool:
        """Refresh the access time that garbage collection looks at. False when there is no such chunk."""
        ...

    def in_reading_order(self, digests: Iterable[Digest]) -> list[Digest]:
        """The same digests in the order in which they are read fastest."""
        ...

    def times(self, digest: Digest) -> ChunkTimes | None: ...

    def age(self, digest: Digest, *, seconds: float) -> None:
        """Set the last sign of use back by so much; for the check that touching works at all."""
        ...

    def mark_bad(self, digest: Digest, *, is_bad: Callable[[bytes], bool]) -> str | None:
        """Rename a corrupt chunk to the first free `<digest>.N.bad` and return that name.

        is_bad: is asked once more, about the bytes that are stored now; None when it says no, and nothing is renamed.
        """
        ...

    def entries(self) -> Iterator[ChunkEntry]: ...

    def folder(self, number: int) -> list[tuple[str, int, float]]:
        """What is stored in one of the 65536 parts of the digest space (by the first two bytes), for garbage collection.

        Each file as name (64 hex digits, or with `.N.bad`), size in bytes, last sign of use in seconds since the epoch.
        """
        ...

    def delete_unused(self, name: str, *, before: float) -> int | None:
        """Delete a file of `folder()` if its last sign of use is still older than `before`; its size, None when it stays."""
        ...


class FixedIndexWriter(Protocol):
    """A fixed index being written: temp file, renamed by `close`."""

    @property
    def name(self) -> str: ...

    @property
    def uuid(self) -> str:
        """32 hex digits."""
        ...

    def set(self, position: int, digest: Digest) -> None: ...

    def close(self, size: int) -> bytes:
        """Complete the header, rename, return the 32-byte checksum. `size` in bytes of the image."""
        ...

    def checksum(self) -> bytes: ...

    def drop(self) -> None: ...


class DynamicIndexWriter(Protocol):
    """A dynamic index being written: temp file, renamed by `close`."""

    @property
    def name(self) -> str: ...

    @property
    def uuid(self) -> str:
        """32 hex digits."""
        ...

    def append(self, end: int, digest: Digest) -> None: ...

    def close(self) -> bytes: ...

    def checksum(self) -> bytes: ...

    def drop(self) -> None: ...


class Datastore(Protocol):
    """All that services may ask of a datastore."""

    @property
    def name(self) -> str: ...

    @property
    def chunks(self) -> ChunkStore: ...

    @property
    def path(self) -> Path | None: ...

    # namespaces
    def namespaces(self, parent: Namespace, *, max_depth: int = 7) -> Iterator[Namespace]:
        """`parent` first, then what is below it, in order of names. `parent` itself is not looked for."""
        ...

    def namespace_exists(self, ns: Namespace) -> bool: ...

    def create_namespace(self, ns: Namespace) -> None: ...

    def remove_namespace(self, ns: Namespace) -> None:
        """Remove an empty namespace. Raises Conflict when something is left in it."""
        ...

    # groups
    def groups(self, ns: Namespace) -> list[GroupName]: ...

    def group_exists(self, ns: Namespace, group: GroupName) -> bool: ...

    def lock_group(self, ns: Namespace, group: GroupName) -> Lock: ...

    def create_group(self, ns: Namespace, group: GroupName, owner: str) -> str:
        """Create the group with this owner unless it exists; returns the owner that it has now."""
        ...

    def owner(self, ns: Namespace, group: GroupName) -> str: ...

    def has_group_notes(self, ns: Namespace, group: GroupName) -> bool: ...

    def set_owner(self, ns: Namespace, group: GroupName, owner: str) -> None: ...

    def group_notes(self, ns: Namespace, group: GroupName) -> str: ...

    def set_group_notes(self, ns: Namespace, group: GroupName, notes: str) -> None: ...

    def remove_empty_group(self, ns: Namespace, group: GroupName) -> bool:
        """Remove the group if it has no snapshot left. False when it has, is gone, or is locked (not an error)."""
        ...

    def remove_group(self, ns: Namespace, group: GroupName) -> Removed: ...

    # snapshots
    def snapshots(self, ns: Namespace, group: GroupName) -> list[SnapshotEntry]:
        """Newest first. An unknown group is an empty list."""
        ...

    def snapshot_exists(self, ns: Namespace, snapshot: SnapshotName) -> bool: ...

    def lock_snapshot(self, ns: Namespace, snapshot: SnapshotName, *, shared: bool) -> Lock:
        """Fails at once with Conflict when it is held by somebody else."""
        ...

    def create_snapshot(self, ns: Namespace, snapshot: SnapshotName) -> Lock:
        """Make the directory (Conflict if it exists, finished or not) and return the exclusive lock on it."""
        ...

    def remove_snapshot(self, ns: Namespace, snapshot: SnapshotName, *, force: bool = False, locked: bool = False) -> None:
        """Remove it and, when it was the last one, its group. Protected: Conflict unless `force`.

        `locked`: the caller holds the exclusive lock.
        """
        ...

    def files(self, ns: Namespace, snapshot: SnapshotName) -> list[FileEntry]: ...

    def is_protected(self, ns: Namespace, snapshot: SnapshotName) -> bool: ...

    def set_protected(self, ns: Namespace, snapshot: SnapshotName, protected: bool) -> None: ...

    # files of a snapshot
    def read_manifest(self, ns: Namespace, snapshot: SnapshotName) -> Manifest:
        """Raises NotFound without manifest, Corrupt when it does not decode."""
        ...

    def update_manifest(self, ns: Namespace, snapshot: SnapshotName, change: Callable[[Manifest], Manifest]) -> None:
        """Read, change and rewrite it under the manifest lock (waits up to 5 s)."""
        ...

    def write_blob(self, ns: Namespace, snapshot: SnapshotName, name: str, blob: bytes | memoryview, *, replace: bool = True) -> None: ...

    def read_file(self, ns: Namespace, snapshot: SnapshotName, name: str) -> bytes: ...

    def open_file(self, ns: Namespace, snapshot: SnapshotName, name: str) -> BinaryIO:
        """Raises NotFound when missing. Never follows a symbolic link."""
        ...

    def open_index(self, ns: Namespace, snapshot: SnapshotName, name: str) -> FixedIndex | DynamicIndex:
        """The index, checked for its length and magic (not its checksum)."""
        ...

    def create_fixed_index(
        self, ns: Namespace, snapshot: SnapshotName, name: str, *, size: int | None, base: FixedIndex | None = None
    ) -> FixedIndexWriter: ...

    def create_dynamic_index(self, ns: Namespace, snapshot: SnapshotName, name: str) -> DynamicIndexWriter: ...

    # the whole store
    def index_files(self) -> Iterator[IndexFile]:
        """Every index below the base, also outside the regular hierarchy.

        During a collection one call after the other sees every index that existed when the collection began, unless it was removed, and
        every one that got its name before the last call ended: one that a backup finishes meanwhile is not missed.
        """
        ...

    def open_index_file(self, path: str) -> FixedIndex | DynamicIndex:
        """The index at a path of `index_files`, its checksum checked, too."""
        ...

    def hold_for_writing(self) -> Lock:
        """Shared hold: while it lasts, garbage collection keeps chunks younger than its begin."""
        ...

    def hold_for_collection(self) -> Lock:
        """Exclusive hold of garbage collection. Conflict when one runs already or another process writes."""
        ...

    def load_gc_status(self) -> dict[str, Any] | None:
        """What the last successful garbage collection saved, None when there is nothing readable."""
        ...

    def save_gc_status(self, status: dict[str, Any]) -> None: ...

    def oldest_writer(self) -> float | None:
        """Begin of the oldest shared hold, seconds since the epoch."""
        ...

    def flush(self) -> None:
        """On return everything written so far survives a power cut, as far as the durability level of the datastore promises."""
        ...

    def space(self) -> Space: ...
