"""Cuts the payload stream of a split archive: by content, and where a file begins if the archiver suggests it.

Source: spec formats §9.4. A chunk that begins with a file can be used again by a later backup in which the files before it changed.
Where the cuts are depends on how much data is at hand when suggestions come, as it does in the reference client; every reader
copes with any cuts, so nothing but the saving hangs on it. A place that has just been fed up to is missed: who feeds whatever is
there keeps the last byte back until the next file is suggested, and the cuts do not depend on the size of the pieces any more.
"""

from __future__ import annotations

from collections import deque

from platevault.formats.chunker import FASTEST, Buffer, ScannerType, least_bytes, most_bytes, new_scanner


class PayloadChunker:
    """Finds the cuts in a payload stream. For one thread.

    Memory: the suggestions that lie ahead of the data, so those who suggest should not run ahead of it without limit.
    """

    def __init__(self, average: int, *, scanner: ScannerType = FASTEST) -> None:
        """average: of the chunks, in bytes, a power of two from 1 KiB to 4 MiB. Raises Invalid for another."""
        self._scanner = new_scanner(average, scanner)
        self._least, self._most = least_bytes(average), most_bytes(average)
        self._start = 0  # stream offset of the first byte of the current chunk
        self._scanned = 0  # bytes of the current chunk that have been fed
        self._suggestions: deque[int] = deque()

    @property
    def offset(self) -> int:
        """Stream offset of the next byte to be fed."""
        return self._start + self._scanned

    def suggest(self, offset: int) -> None:
        """A file begins at this stream offset, in bytes: say so, in stream order, before the file's data is fed."""
        self._suggestions.append(offset)

    def restart(self, offset: int) -> None:
        """The next byte is at stream offset `offset` and the first of a chunk: chunks of another archive have been put before it."""
        self._scanner.reset()
        self._start, self._scanned = offset, 0

    def feed(self, buffer: Buffer) -> list[int]:
        """Offsets in `buffer` at which a chunk ends, ascending. What follows the last cut of a stream is its last chunk."""
        cuts: list[int] = []
        at = 0
        with memoryview(buffer) as whole:
            while at < len(whole):
                with whole[at:] as rest:
                    found = self._next_cut(rest)
                if not found:
                    self._scanned += len(whole) - at
                    break
                at += found
                cuts.append(at)
                self.restart(self.offset + found)
        return cuts

    def _next_cut(self, rest: memoryview) -> int:
        """Offset in `rest` of the next cut, or 0 when the chunk goes on."""
        wanted = self._wanted_length(self._scanned + len(rest))
        return wanted - self._scanned if wanted else self._scanner.scan(rest)

    def _wanted_length(self, known: int) -> int:
        """Length of the current chunk by the next suggestion that is of use, or 0. known: its bytes fed or about to be."""
        while self._suggestions:
            length = self._suggestions[0] - self._start
            if length > known or length > self._most:  # not reached yet, or the content must cut before it
                return 0
            self._suggestions.popleft()
            if length == self._scanned and length >= self._least:  # too late: this place was passed when the last buffer ended
                return 0
            if length > self._scanned and length >= self._least:
                return length
        return 0
