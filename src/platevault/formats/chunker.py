"""Cuts a stream into chunks by its content, so that an insertion changes the chunks around it and no others.

Source: spec formats §9, checked against chunks cut by Proxmox Backup Server 4.2.3. A cut follows the byte where the hash of the
last 64 bytes has one of 3 of 2 * average values, not before a quarter of the average and at latest at four times it. A chunk knows
nothing of the one before it. The scanning is done in C, or in numpy where the extension was not built; both cut equally.
"""

from __future__ import annotations

from typing import Literal, Protocol

from platevault.errors import Invalid
from platevault.formats.buzhash_table import VALUES

MIN_AVERAGE_BYTES = 1024
MAX_AVERAGE_BYTES = 4 * 1024 * 1024  # its largest chunks, 16 MiB, are the largest that a server takes

Buffer = bytes | bytearray | memoryview


class Scanner(Protocol):
    """What finds the end of the current chunk."""

    def scan(self, buffer: Buffer, /) -> int: ...

    def reset(self) -> None: ...


class ScannerType(Protocol):
    def __call__(self, table: bytes, minimum: int, maximum: int, mask: int) -> Scanner: ...


def _fastest() -> tuple[Literal["c", "numpy"], ScannerType]:
    try:
        from platevault.formats._chunker import Scanner as InC
    except ImportError:
        from platevault.formats.chunker_numpy import Scanner as InNumpy

        return "numpy", InNumpy
    return "c", InC


IMPLEMENTATION, FASTEST = _fastest()


def least_bytes(average: int) -> int:
    """Length of the shortest chunk that is not the last one."""
    return average // 4


def most_bytes(average: int) -> int:
    """Length of the longest chunk."""
    return average * 4


def new_scanner(average: int, scanner: ScannerType = FASTEST) -> Scanner:
    """A scanner at the start of a chunk. average: in bytes, a power of two from 1 KiB to 4 MiB, else Invalid is raised."""
    if average.bit_count() != 1 or not MIN_AVERAGE_BYTES <= average <= MAX_AVERAGE_BYTES:
        raise Invalid(f"{average} bytes are no average of chunks: a power of two from {MIN_AVERAGE_BYTES} to {MAX_AVERAGE_BYTES} is")
    return scanner(VALUES, least_bytes(average), most_bytes(average), 2 * average - 1)


class Chunker:
    """Finds the cuts in a stream that is fed to it piece by piece. For one thread."""

    def __init__(self, average: int, *, scanner: ScannerType = FASTEST) -> None:
        """average: of the chunks, in bytes, a power of two from 1 KiB to 4 MiB. Raises Invalid for another."""
        self._scanner = new_scanner(average, scanner)

    def feed(self, buffer: Buffer) -> list[int]:
        """Offsets in `buffer` at which a chunk ends, ascending; the buffer's own end is among them only if a chunk ends there.

        How the stream is split into buffers makes no difference. What follows the last cut of a stream is its last chunk.
        """
        cuts: list[int] = []
        at = 0
        with memoryview(buffer) as whole:
            while at < len(whole):
                with whole[at:] as rest:
                    found = self._scanner.scan(rest)
                if not found:
                    break
                at += found
                cuts.append(at)
        return cuts
