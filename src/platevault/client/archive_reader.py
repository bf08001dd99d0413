"""The bytes of an archive under a dynamic index: as a stream from its beginning, or at any place.

Source: spec formats §3.2. Memory of the stream: see `chunk_fetch`; of the random access: `CACHED_CHUNKS` chunks of at most 16 MiB.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from platevault.client.chunk_fetch import ChunkFetcher
from platevault.client.reader import ChunkDecoder, Index, SnapshotReader
from platevault.client.statistics import NoProgress, Progress
from platevault.client.workers import Workers

CACHED_CHUNKS = 4


class ArchiveStream:
    """A stream of an archive, in order. `read` has the rules of a raw file object. One thread."""

    def __init__(self, reader: SnapshotReader, name: str, workers: Workers, progress: Progress | None = None) -> None:
        index = reader.index(name)
        self.size = index.size
        self._chunks = ChunkFetcher(reader, reader.decoder(name), workers).in_order(_wanted(index))
        self._progress = progress or NoProgress()
        self._current = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, less only at the end of the archive; all that is left when negative."""
        if 0 <= size <= len(self._current):
            piece, self._current = self._current[:size], self._current[size:]
            return bytes(piece)
        pieces, missing = [], size
        while missing and (self._current or self._next()):
            piece = self._current if missing < 0 else self._current[:missing]
            self._current = self._current[len(piece) :]
            pieces.append(piece)
            missing -= len(piece) if missing > 0 else 0
        return b"".join(pieces)

    def readinto(self, view: memoryview) -> int:
        """Fill `view` as far as the current chunk goes; 0 only at the end."""
        if not self._current and not self._next():
            return 0
        count = min(len(view), len(self._current))
        view[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def _next(self) -> bool:
        data = next(self._chunks, None)
        if data is None:
            return False
        self._progress.advance(len(data))
        self._current = memoryview(data)
        return True


class ArchiveFile:
    """Random access to an archive. One thread."""

    def __init__(self, reader: SnapshotReader, name: str) -> None:
        self._reader, self._index = reader, reader.index(name)
        self._decoder: ChunkDecoder = reader.decoder(name)
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self.size = self._index.size

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, less only at the end of the archive."""
        pieces = []
        while size > 0 and offset < self.size:
            number = self._index.chunk_at(offset)
            start, _ = self._index.chunk_span(number)
            piece = memoryview(self._chunk(number))[offset - start :][:size]
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
        return b"".join(pieces)

    def _chunk(self, number: int) -> bytes:
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        start, end = self._index.chunk_span(number)
        digest = self._index.digest(number)
        data = self._cache[number] = self._decoder.open(digest, end - start, self._reader.request_chunk(digest))
        if len(self._cache) > CACHED_CHUNKS:
            self._cache.popitem(last=False)
        return data


def _wanted(index: Index) -> Iterator[tuple[bytes, int]]:
    for number in range(index.count):
        start, end = index.chunk_span(number)
        yield index.digest(number), end - start
