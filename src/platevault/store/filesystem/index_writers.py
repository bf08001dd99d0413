"""Index files being written: entries go to a temp file in batches, the header comes last, then the file gets its name.

Source: spec formats §3, §1.5 (temp names `X.tmp_fidx`, `X.tmp_didx`). A half-written index is never seen under its name, and
garbage collection does not read temp names: the chunks of a running backup are protected by the hold on `.lock`.
Writers are used by one thread at a time. Plain writes, not a mapped file: with a full disk a write fails, a mapping kills the process.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from collections.abc import Callable

import numpy as np

from platevault.errors import Conflict, Invalid
from platevault.formats import dynamic_index, fixed_index
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.store.datastore import Digest
from platevault.store.filesystem import dirs
from platevault.store.filesystem.replace import forget
from platevault.store.filesystem.trouble import translated

HEADER_BYTES = 4096
DIGEST_BYTES = 32
ENTRY = struct.Struct("<Q32s")  # end offset, digest
BATCH_BYTES = 64 * 1024
READ_BYTES = 1024 * 1024


class IndexOpen(Conflict):
    """This index is being written already. Facts: `path`."""


class EmptyIndex(Invalid):
    """An index without chunks has no meaning, and garbage collection stops at what it cannot understand. Facts: `path`."""


class _TempFile:
    """The temp file of an index, in an open snapshot directory that this object owns."""

    def __init__(self, parent: int, name: str, *, owner: dirs.Owner | None, ctime: int, sync: bool, published: Callable[[], None]) -> None:
        """published: called when the index has got its name."""
        stem, kind = name.rsplit(".", 1)
        self.name = name
        self._temp = f"{stem}.tmp_{kind}"
        self._parent = parent
        self._sync = sync
        self._published = published
        self._ctime = ctime
        self._uuid = uuid.uuid4()
        self._open = True
        self._descriptor = self._create(owner)

    @property
    def uuid(self) -> str:
        """32 hex digits, as task logs show it."""
        return self._uuid.hex

    def _create(self, owner: dirs.Owner | None) -> int:
        try:
            with translated("creating index", self.name):
                descriptor = os.open(
                    self._temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=self._parent
                )
                if owner is not None:
                    os.fchown(descriptor, *owner)
                return descriptor
        except BaseException as error:
            os.close(self._parent)
            if isinstance(error.__cause__, FileExistsError):
                raise IndexOpen(f"index '{self.name}' is being written already", path=self.name) from error
            raise

    def _write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        with translated("writing index", self.name):
            dirs.write_all(self._descriptor, data, offset)

    def _publish(self, header: bytes, length: int) -> None:
        """Cut to `length`, put the header in front and rename. The writer is closed afterwards, whatever happened."""
        try:
            if length <= HEADER_BYTES:
                raise EmptyIndex(f"index '{self.name}' has no chunks", path=self.name)
            with translated("closing index", self.name):
                os.ftruncate(self._descriptor, length)
                dirs.write_all(self._descriptor, header, 0)
                if self._sync:
                    os.fsync(self._descriptor)
                os.rename(self._temp, self.name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
                self._published()
                if self._sync:
                    os.fsync(self._parent)
        except BaseException:
            self.drop()
            raise
        self._close()

    def drop(self) -> None:
        """Give up: remove the temp file. Harmless after `close`."""
        if self._open:
            forget(self._parent, self._temp)
            self._close()

    def _close(self) -> None:
        self._open = False
        os.close(self._descriptor)
        os.close(self._parent)


class FixedIndexFile(_TempFile):
    """A fixed index being written. Entries may come in any order; what was never set is 32 zero bytes."""

    def __init__(
        self,
        parent: int,
        name: str,
        *,
        size: int | None,
        base: FixedIndex | None,
        owner: dirs.Owner | None,
        ctime: int,
        sync: bool,
        published: Callable[[], None],
    ) -> None:
        super().__init__(parent, name, owner=owner, ctime=ctime, sync=sync, published=published)
        self._entries = 0 if size is None else _chunks(size)
        self._batch = bytearray()
        self._batch_start = 0
        if base is not None:
            self._copy(base)

    def _copy(self, base: FixedIndex) -> None:
        try:
            self._write(np.ascontiguousarray(base.digests).data, HEADER_BYTES)
        except BaseException:
            self.drop()
            raise
        self._entries = max(self._entries, base.count)

    def set(self, position: int, digest: Digest) -> None:
        """Put the digest of chunk number `position`. Raises StorageFailed when a batch cannot be written."""
        if position != self._batch_start + len(self._batch) // DIGEST_BYTES or len(self._batch) >= BATCH_BYTES:
            self._flush()
            self._batch_start = position
        self._batch += digest
        self._entries = max(self._entries, position + 1)

    def _flush(self) -> None:
        if self._batch:
            self._write(self._batch, HEADER_BYTES + self._batch_start * DIGEST_BYTES)
            self._batch = bytearray()

    def checksum(self) -> bytes:
        """SHA-256 over the digests by position, so far."""
        self._flush()
        end = HEADER_BYTES + self._entries * DIGEST_BYTES
        with translated("writing index", self.name):
            if os.fstat(self._descriptor).st_size < end:
                os.ftruncate(self._descriptor, end)
            return _hash_range(self._descriptor, HEADER_BYTES, end)

    def close(self, size: int) -> bytes:
        """Complete the index of an image of `size` bytes, give it its name, return its checksum. Raises EmptyIndex, StorageFailed."""
        self._entries = _chunks(size)
        checksum = self.checksum()
        header = fixed_index.header(self._uuid, self._ctime, checksum, size, CHUNK_BYTES)
        self._publish(header, HEADER_BYTES + self._entries * DIGEST_BYTES)
        return checksum


class DynamicIndexFile(_TempFile):
    """A dynamic index being written; entries come in order."""

    def __init__(self, parent: int, name: str, *, owner: dirs.Owner | None, ctime: int, sync: bool, published: Callable[[], None]) -> None:
        super().__init__(parent, name, owner=owner, ctime=ctime, sync=sync, published=published)
        self._batch = bytearray()
        self._written = HEADER_BYTES
        self._hash = hashlib.sha256()

    def append(self, end: int, digest: Digest) -> None:
        """Add the chunk that ends (exclusively) at `end` in the stream. Raises StorageFailed when a batch cannot be written."""
        self._batch += ENTRY.pack(end, digest)
        if len(self._batch) >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._write(self._batch, self._written)
        self._hash.update(self._batch)
        self._written += len(self._batch)
        self._batch = bytearray()

    def checksum(self) -> bytes:
        """SHA-256 over the entries so far."""
        self._flush()
        return self._hash.digest()

    def close(self) -> bytes:
        """Complete the index, give it its name, return its checksum. Raises EmptyIndex, StorageFailed."""
        checksum = self.checksum()
        self._publish(dynamic_index.header(self._uuid, self._ctime, checksum), self._written)
        return checksum


def _chunks(size: int) -> int:
    return -(-size // CHUNK_BYTES)


def _hash_range(descriptor: int, start: int, end: int) -> bytes:
    digest = hashlib.sha256()
    while start < end:
        piece = os.pread(descriptor, min(READ_BYTES, end - start), start)
        digest.update(piece)
        start += len(piece)
    return digest.digest()
