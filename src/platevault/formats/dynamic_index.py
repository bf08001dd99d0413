"""Dynamic index (`.didx`): end offset and digest of each chunk of a stream cut by content.

Source: spec formats §3.2 and §3.3. Layout: a header of 4096 bytes (magic, uuid, ctime, checksum), then 40 bytes a chunk: end offset
(u64, exclusive, strictly increasing) and digest. Pure: bytes in, values out.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from platevault.errors import Invalid
from platevault.formats.fixed_index import HEADER_BYTES, CorruptIndex

MAGIC = bytes.fromhex("1c914ea519bab3cd")
HEADER = struct.Struct("<8s16sq32s")
ENTRY = np.dtype([("end", "<u8"), ("digest", np.uint8, (32,))])
ENTRY_BYTES = 40


@dataclass(frozen=True, slots=True)
class DynamicIndex:
    """A dynamic index in memory; `entries` is an array of ENTRY and may be a view of a mapped file."""

    uuid: UUID
    ctime: int
    entries: NDArray[np.void]

    @property
    def ends(self) -> NDArray[np.uint64]:
        """End offsets, shape (chunks,)."""
        return self.entries["end"]

    @property
    def digests(self) -> NDArray[np.uint8]:
        """Shape (chunks, 32)."""
        return self.entries["digest"]

    @property
    def count(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """Length of the stream in bytes."""
        return int(self.entries["end"][-1])

    def digest(self, number: int) -> bytes:
        return self.entries["digest"][number].tobytes()  # type: ignore[no-any-return]

    def chunk_span(self, number: int) -> tuple[int, int]:
        """Start and end offset in the stream of one chunk."""
        start = int(self.entries["end"][number - 1]) if number else 0
        return start, int(self.entries["end"][number])

    def chunk_at(self, offset: int) -> int:
        """Number of the chunk that holds the byte at `offset`, by binary search. Raises Invalid beyond the stream."""
        if not 0 <= offset < self.size:
            raise Invalid(f"offset {offset} is outside the stream of {self.size} bytes")
        return int(np.searchsorted(self.entries["end"], np.uint64(offset), side="right"))

    def checksum(self) -> bytes:
        """SHA-256 over all entries: the `csum` of header and manifest."""
        return hashlib.sha256(np.ascontiguousarray(self.entries).view(np.uint8).data).digest()


def from_arrays(uuid: UUID, ctime: int, ends: NDArray[np.uint64], digests: NDArray[np.uint8]) -> DynamicIndex:
    """An index of `ends` (n,) and `digests` (n, 32)."""
    entries = np.empty(len(ends), ENTRY)
    entries["end"], entries["digest"] = ends, digests
    return DynamicIndex(uuid, ctime, entries)


def decode(buffer: bytes | memoryview | mmap.mmap, *, check_sum: bool = True) -> DynamicIndex:
    """Read a whole index file without copying its entries; `check_sum=False` leaves the checksum to the caller.

    Raises CorruptIndex for a wrong magic, length, order of offsets or checksum; nothing else, whatever the bytes.
    """
    if len(buffer) < HEADER_BYTES:
        raise CorruptIndex("index is shorter than its header", expected=HEADER_BYTES, got=len(buffer))
    magic, uuid, ctime, checksum = HEADER.unpack_from(buffer)
    if magic != MAGIC:
        raise CorruptIndex("not a dynamic index", expected=MAGIC.hex(), got=magic.hex())
    rest = len(buffer) - HEADER_BYTES
    if rest == 0 or rest % ENTRY_BYTES:
        raise CorruptIndex("wrong length", expected=f"a multiple of {ENTRY_BYTES} behind the header", got=rest)
    entries = np.frombuffer(buffer, ENTRY, offset=HEADER_BYTES)
    ends = entries["end"]
    if ends[0] == 0 or bool(np.any(ends[1:] <= ends[:-1])):
        raise CorruptIndex("end offsets do not increase")
    index = DynamicIndex(UUID(bytes=uuid), ctime, entries)
    if check_sum and index.checksum() != checksum:
        raise CorruptIndex("checksum differs", expected=checksum.hex(), got=index.checksum().hex())
    return index


def header(uuid: UUID, ctime: int, checksum: bytes) -> bytes:
    """The 4096 bytes in front of the entries."""
    return HEADER.pack(MAGIC, uuid.bytes, ctime, checksum).ljust(HEADER_BYTES, b"\0")


def encode(index: DynamicIndex) -> bytes:
    """The file that `decode` reads; the checksum is computed here."""
    return header(index.uuid, index.ctime, index.checksum()) + index.entries.tobytes()
