"""The contents of files that a split archive keeps in its payload stream.

Source: spec formats §8.8. References do not decrease, so that a whole restore reads the stream once, with chunks fetched ahead. When only
some files are wanted, only their chunks are fetched. Memory: see `chunk_fetch`.
"""

from __future__ import annotations

from collections.abc import Iterator

from platevault.client.chunk_fetch import ChunkFetcher
from platevault.client.reader import SnapshotReader
from platevault.client.statistics import Progress
from platevault.client.workers import Workers
from platevault.formats.pxar.items import HEADER_BYTES, CorruptArchive
from platevault.formats.pxar.payload import check_header


class Payloads:
    """Reads payloads of one stream. One thread."""

    def __init__(self, reader: SnapshotReader, name: str, workers: Workers, progress: Progress, *, everything: bool) -> None:
        """name: of the payload stream, with .didx. everything: all files will be read, in archive order."""
        self._index = reader.index(name)
        self._fetcher = ChunkFetcher(reader, reader.decoder(name), workers)
        self._progress, self._everything = progress, everything
        self._chunks: Iterator[bytes] = iter(())
        self._number = -1  # the chunk in hand
        self._end = 0  # the first chunk that is not on its way
        self._data = memoryview(b"")
        self.size = self._index.size

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        """The content of the file of `size` bytes whose payload is at `offset`. Raises CorruptArchive, or what reading raises."""
        place, end = offset, offset + HEADER_BYTES + size
        if end > self._index.size:
            raise CorruptArchive(f"pxar: a file of {size} bytes at byte {offset} is outside of the payload stream", offset=offset)
        header = b""
        while place < end:
            piece = self._piece(place, end)
            place += len(piece)
            if len(header) < HEADER_BYTES:
                taken = HEADER_BYTES - len(header)
                header, piece = header + piece[:taken], piece[taken:]
                if len(header) == HEADER_BYTES:
                    check_header(header, offset, size)
            if piece:
                yield piece

    def _piece(self, place: int, end: int) -> memoryview:
        """The bytes from `place` up to `end`, or to the end of the chunk."""
        number = self._index.chunk_at(place)
        if number != self._number:
            self._go_to(number, self._index.count if self._everything else self._index.chunk_at(end - 1) + 1)
        start, _ = self._index.chunk_span(number)
        return self._data[place - start : end - start]

    def _go_to(self, number: int, end: int) -> None:
        if not self._number < number < self._end:
            self._chunks, self._number, self._end = self._fetcher.in_order(self._wanted(number, end)), number - 1, end
        while self._number < number:
            self._data = memoryview(next(self._chunks))
            self._number += 1
            self._progress.advance(len(self._data))

    def _wanted(self, first: int, end: int) -> Iterator[tuple[bytes, int]]:
        for number in range(first, end):
            start, stop = self._index.chunk_span(number)
            yield self._index.digest(number), stop - start
