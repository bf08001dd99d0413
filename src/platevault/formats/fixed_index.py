"""Fixed index (`.fidx`): the digests of a disk image cut into chunks of one size.

Source: spec formats §3.1 and §3.3, checked against indexes written by Proxmox Backup Server 4.2.3.
Layout: a header of 4096 bytes (magic, uuid, ctime, checksum, image size, chunk size), then 32 bytes a chunk.
Pure: bytes in, values out. Whoever opens the file maps it and hands the buffer over.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from platevault.errors import Corrupt, Invalid

MAGIC = bytes.fromhex("2f7f41ed91fd0fcd")
HEADER = struct.Struct("<8s16sq32sQQ")
HEADER_BYTES = 4096
DIGEST_BYTES = 32
CHUNK_BYTES = 4 * 1024 * 1024  # what every server writes; readers accept any power of two


class CorruptIndex(Corrupt):
    """The bytes are no index, or their checksum is wrong. Facts: `expected`, `got`."""


@dataclass(frozen=True, slots=True)
class FixedIndex:
    """A fixed index in memory. `digests` has shape (chunks, 32) and may be a view of a mapped file."""

    uuid: UUID
    ctime: int
    size: int
    chunk_size: int
    digests: NDArray[np.uint8]

    @property
    def count(self) -> int:
        return len(self.digests)

    def digest(self, number: int) -> bytes:
        return self.digests[number].tobytes()  # type: ignore[no-any-return]

    def chunk_span(self, number: int) -> tuple[int, int]:
        """Start and end offset in the image, in bytes, of one chunk; the last one may be short."""
        start = number * self.chunk_size
        return start, min(start + self.chunk_size, self.size)

    def chunk_at(self, offset: int) -> int:
        """Number of the chunk that holds the byte at `offset`. Raises Invalid beyond the image."""
        if not 0 <= offset < self.size:
            raise Invalid(f"offset {offset} is outside the image of {self.size} bytes")
        return offset // self.chunk_size

    def checksum(self) -> bytes:
        """SHA-256 over all digests in order: the `csum` of header and manifest."""
        return hashlib.sha256(np.ascontiguousarray(self.digests).data).digest()


def decode(buffer: bytes | memoryview | mmap.mmap, *, check_sum: bool = True) -> FixedIndex:
    """Read a whole index file without copying its digests; `check_sum=False` leaves the checksum to the caller.

    Raises CorruptIndex for a wrong magic, length or checksum; nothing else, whatever the bytes.
    """
    if len(buffer) < HEADER_BYTES:
        raise CorruptIndex("index is shorter than its header", expected=HEADER_BYTES, got=len(buffer))
    magic, uuid, ctime, checksum, size, chunk_size = HEADER.unpack_from(buffer)
    if magic != MAGIC:
        raise CorruptIndex("not a fixed index", expected=MAGIC.hex(), got=magic.hex())
    if size == 0 or chunk_size.bit_count() != 1:
        raise CorruptIndex("impossible geometry", expected="a size and a power of two", got=(size, chunk_size))
    chunks = -(-size // chunk_size)
    wanted = HEADER_BYTES + chunks * DIGEST_BYTES
    if len(buffer) != wanted:
        raise CorruptIndex("wrong length for its image size", expected=wanted, got=len(buffer))
    digests = np.frombuffer(buffer, np.uint8, offset=HEADER_BYTES).reshape(chunks, DIGEST_BYTES)
    index = FixedIndex(UUID(bytes=uuid), ctime, size, chunk_size, digests)
    if check_sum and index.checksum() != checksum:
        raise CorruptIndex("checksum differs", expected=checksum.hex(), got=index.checksum().hex())
    return index


def header(uuid: UUID, ctime: int, checksum: bytes, size: int, chunk_size: int = CHUNK_BYTES) -> bytes:
    """The 4096 bytes in front of the digests."""
    return HEADER.pack(MAGIC, uuid.bytes, ctime, checksum, size, chunk_size).ljust(HEADER_BYTES, b"\0")


def encode(index: FixedIndex) -> bytes:
    """The file that `decode` reads. The header's checksum is computed here, so that it cannot be stale."""
    return header(index.uuid, index.ctime, index.checksum(), index.size, index.chunk_size) + index.digests.tobytes()
