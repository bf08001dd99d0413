"""The indexes that a backup session is writing, and what may be appended to them. Source: spec wire-protocol §3.5, §3.7, §3.8.

A writer whose close failed for its checksum, or whose file could not be written, is of no use any more but stays open: an archive that
was begun and not completed must keep the session from being finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from platevault.errors import Conflict, Invalid, PlatevaultError
from platevault.formats.fixed_index import CHUNK_BYTES
from platevault.services.upload_statistics import UploadStatistics
from platevault.store.datastore import Digest, DynamicIndexWriter, FixedIndexWriter

PAGE = 4096  # positions in one bit mask
MAX_END = 2**63 - 1


class WriterRefused(Invalid):
    """What was asked of an index writer does not fit what it has."""


class ArchiveWriter:
    """What both kinds share. number: the id that the client uses."""

    kind: ClassVar[str]

    def __init__(self, number: int, file: DynamicIndexWriter | FixedIndexWriter) -> None:
        self.number = number
        self.name = file.name
        self.uuid = file.uuid
        self.uploads = UploadStatistics()
        self.count = 0
        self._file = file
        self._broken = False

    @property
    def size(self) -> int:
        """Bytes of the archive so far."""
        raise NotImplementedError

    def accept(self, size: int) -> None:
        """Say that a chunk of `size` bytes was uploaded for this archive. Raises WriterRefused."""

    def check_usable(self) -> None:
        if self._broken:
            raise WriterRefused(f"{self.kind} writer '{self.name}' was closed with an error and takes nothing more")

    def drop(self) -> None:
        """Give up; harmless after a close."""
        self._file.drop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A failure inside leaves the file in an unknown state, so nothing may follow it."""
        try:
            yield
        except PlatevaultError:
            self._break()
            raise

    def _break(self) -> None:
        self._broken = True
        self._file.drop()

    def _check_count(self, count: int) -> None:
        if count != self.count:
            raise WriterRefused(f"{self.kind} writer '{self.name}' close failed - {self.count} chunks were appended, not {count}")

    def _check_checksum(self, got: bytes, csum: bytes) -> None:
        if got != csum:
            self._break()
            raise WriterRefused(f"{self.kind} writer '{self.name}' close failed - checksum is {got.hex()}, not {csum.hex()}")


class DynamicArchive(ArchiveWriter):
    """A dynamic index: entries come strictly one behind the other."""

    kind = "dynamic"
    _file: DynamicIndexWriter

    def __init__(self, number: int, file: DynamicIndexWriter) -> None:
        super().__init__(number, file)
        self._end = 0

    @property
    def size(self) -> int:
        return self._end

    def append(self, offset: int, digest: Digest, size: int) -> None:
        """Add a chunk of `size` bytes that starts at `offset`. Raises WriterRefused, Unavailable."""
        self.check_usable()
        if offset != self._end:
            raise WriterRefused(f"dynamic writer '{self.name}' append failed - offset {offset} is not the end {self._end}")
        if offset + size > MAX_END:  # the lengths of chunks in an older index are those that it claims
            raise WriterRefused(f"dynamic writer '{self.name}' append failed - an archive of {offset + size} bytes is impossible")
        with self._writing():
            self._file.append(offset + size, digest)
        self._end, self.count = offset + size, self.count + 1

    def close(self, count: int, size: int, csum: bytes) -> None:
        """Give the index its name if all three agree with what was appended. A wrong checksum breaks the writer."""
        self.check_usable()
        self._check_count(count)
        if size != self._end:
            raise WriterRefused(f"dynamic writer '{self.name}' close failed - size is {self._end}, not {size}")
        with self._writing():
            self._check_checksum(self._file.checksum(), csum)
            self._file.close()


class FixedArchive(ArchiveWriter):
    """A fixed index: chunks of 4 MiB in any order, the last one may be shorter."""

    kind = "fixed"
    _file: FixedIndexWriter

    def __init__(self, number: int, file: FixedIndexWriter, *, size: int | None, incremental: bool) -> None:
        """size: of the image in bytes, None while it is not known. incremental: the index began as a copy of an older one."""
        super().__init__(number, file)
        self._grows = size is None
        self._total = size or 0
        self._incremental = incremental
        self._short_uploads = 0
        self._written = _Positions()

    @property
    def size(self) -> int:
        return self._total

    def accept(self, size: int) -> None:
        if size > CHUNK_BYTES:
            raise WriterRefused(f"fixed writer '{self.name}' takes chunks of at most {CHUNK_BYTES} bytes, not {size}")
        if size < CHUNK_BYTES:
            self._short_uploads += 1
            if self._short_uploads > 1:
                raise WriterRefused(f"fixed writer '{self.name}' takes one chunk below {CHUNK_BYTES} bytes, this is another one")

    def append(self, offset: int, digest: Digest, size: int) -> None:
        """Put a chunk of `size` bytes at `offset`; a place may be written again. Raises WriterRefused, Unavailable."""
        self.check_usable()
        end = offset + size
        self._check_place(offset, size, end)
        with self._writing():
            self._file.set(offset // CHUNK_BYTES, digest)
        self._written.add(offset // CHUNK_BYTES)
        self.count += 1
        if self._grows:
            self._total = max(self._total, end)
            self._grows = size == CHUNK_BYTES

    def _check_place(self, offset: int, size: int, end: int) -> None:
        where = f"fixed writer '{self.name}' append failed"
        total = max(self._total, end) if self._grows else self._total
        if end > total:
            raise WriterRefused(f"{where} - chunk at {offset} ends behind the image of {total} bytes")
        if not 0 < size <= CHUNK_BYTES or (size != CHUNK_BYTES and end != total):
            raise WriterRefused(f"{where} - a chunk of {size} bytes cannot be at {offset}")
        if offset % CHUNK_BYTES:
            raise WriterRefused(f"{where} - offset {offset} is not a multiple of {CHUNK_BYTES}")

    def close(self, count: int, size: int, csum: bytes) -> None:
        """Give the index its name if all agree with what was appended; of an incremental one `size` means nothing.

        A wrong checksum breaks the writer. An index with a hole is refused, whatever its checksum: it would name a chunk of zeros.
        """
        self.check_usable()
        self._check_count(count)
        if not self._incremental:
            self._check_complete(count, size)
        with self._writing():
            self._check_checksum(self._file.checksum(), csum)
            self._file.close(self._total)

    def _check_complete(self, count: int, size: int) -> None:
        wanted = -(-self._total // CHUNK_BYTES)
        if size != self._total:
            raise WriterRefused(f"fixed writer '{self.name}' close failed - size is {self._total}, not {size}")
        if not count or count != wanted or self._written.count != wanted:
            raise WriterRefused(f"fixed writer '{self.name}' close failed - {count} appended chunks do not make {wanted} blocks")


class _Positions:
    """How many different positions were written: one bit each, in pages that exist only where something was written."""

    def __init__(self) -> None:
        self._pages: dict[int, int] = {}
        self.count = 0

    def add(self, position: int) -> None:
        page, bit = position // PAGE, 1 << position % PAGE
        mask = self._pages.get(page, 0)
        if not mask & bit:
            self._pages[page] = mask | bit
            self.count += 1


class TakenName:
    """The file of a writer whose archive another writer of the session has open: it can be written to but never closed.

    The reference server hands out such a writer, too, and then refuses to close one of the two.
    """

    uuid = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def append(self, end: int, digest: Digest) -> None:
        """Nothing is kept."""

    def set(self, position: int, digest: Digest) -> None:
        """Nothing is kept."""

    def checksum(self) -> bytes:
        raise Conflict(f"'{self.name}' is written by another writer of this session")

    def close(self, size: int = 0) -> bytes:
        return self.checksum()

    def drop(self) -> None:
        """There is nothing to remove."""
