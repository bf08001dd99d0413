"""The scanner of `_chunker.c` in numpy: the same cuts from any split of the input, at about a sixth of the speed.

Source: spec formats §9.2. The hash at byte n is the XOR of T[b] of the last 64 bytes, each rotated left by its distance to n. Rotated
right by n, that is the XOR of T[b] of byte k rotated right by k, for the last 64 k: a difference of two prefixes of one running XOR.
Rotation by 32 is none, so 32 rotated tables are all that is needed, and a place is tried for a cut under a mask rotated alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 64
BLOCK_BYTES = 32 * 1024  # hashed at once: its arrays of 128 KiB stay in the processor's cache
PHASES = 32
LOW_BITS = np.uint32(3)  # a cut has all bits of the mask set except that the lowest two may be 1, 2 or 3

_PHASE = np.arange(BLOCK_BYTES + WINDOW_BYTES, dtype=np.uint16) % PHASES


def _rotated(value: NDArray[np.uint32] | np.uint32, left: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (value << left) | (value >> ((np.uint32(PHASES) - left) % np.uint32(PHASES)))


class Scanner:
    """Finds the end of the current chunk in the bytes of a stream. For one thread at a time."""

    def __init__(self, table: bytes, minimum: int, maximum: int, mask: int) -> None:
        """table: 256 numbers of 32 bits, big endian; 64 < minimum <= maximum in bytes; mask 2^n - 1, at least 3. Raises ValueError."""
        if len(table) != 1024 or minimum <= WINDOW_BYTES or maximum < minimum or mask < 3:
            raise ValueError("needs a table of 1024 bytes, 64 < minimum <= maximum, mask >= 3")
        left = (PHASES - np.arange(PHASES, dtype=np.uint32)) % np.uint32(PHASES)
        self._tables = _rotated(np.frombuffer(table, ">u4").astype(np.uint32)[np.newaxis, :], left[:, np.newaxis]).ravel()
        self._masks = _rotated(np.uint32(mask) & ~LOW_BITS, left)[_PHASE]
        self._minimum, self._maximum = minimum, maximum
        self.reset()

    def reset(self) -> None:
        """The next byte is the first of a chunk."""
        self._count = 0
        self._window = np.empty(0, np.uint8)

    def scan(self, buffer: bytes | bytearray | memoryview) -> int:
        """Length of the rest of the chunk in `buffer`, or 0 when it goes on."""
        if not len(buffer):
            return 0
        data = np.frombuffer(buffer, np.uint8)
        at = min(len(data), max(0, self._minimum - WINDOW_BYTES - self._count))
        self._count += at
        while at < len(data):
            block = data[at : at + min(BLOCK_BYTES, self._maximum - self._count)]
            at += len(block)
            if (surplus := self._step(block)) is not None:
                self.reset()
                return at - surplus
        return 0

    def _step(self, block: NDArray[np.uint8]) -> int | None:
        """Take bytes that need hashing. The number of bytes behind the cut, or None without one."""
        known = np.concatenate((self._window, block))
        self._count += len(block)
        self._window = known[-(WINDOW_BYTES - 1) :]
        if (cut := self._first_cut(known)) is not None:
            return len(known) - cut
        return 0 if self._count == self._maximum else None

    def _first_cut(self, known: NDArray[np.uint8]) -> int | None:
        """Length of `known` up to and with the first byte, of those that have 63 before them, whose hash asks for a cut."""
        if len(known) < WINDOW_BYTES:
            return None
        prefixes = np.bitwise_xor.accumulate(self._tables[known + _PHASE[: len(known)] * np.uint16(256)])
        hashes = prefixes[WINDOW_BYTES - 1 :].copy()
        hashes[1:] ^= prefixes[:-WINDOW_BYTES]
        masks = self._masks[WINDOW_BYTES - 1 : len(known)]
        for place in np.flatnonzero((hashes & masks) == masks).tolist():
            last = place + WINDOW_BYTES - 1
            if _rotated(hashes[place : place + 1], np.array([last % PHASES], np.uint32))[0] & LOW_BITS:
                return int(last + 1)
        return None
