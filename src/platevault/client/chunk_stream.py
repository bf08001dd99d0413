"""A byte stream on its way into a dynamic index: cut by content, each chunk handed to the workers.

Source: spec formats §9. Memory: the chunk being collected, at most 16 MiB, and what waits at the workers.
"""

from __future__ import annotations

from platevault.client.chunk_sender import ChunkSender
from platevault.client.index_writer import ClosedIndex, IndexWriter
from platevault.client.session import Session
from platevault.client.statistics import Counters
from platevault.client.workers import Workers
from platevault.formats.chunker import Chunker

SCAN_BYTES = 1024 * 1024  # an archive comes in many small pieces; the chunker is asked once a MiB
TREE_AVERAGE_BYTES = 4 * 1024 * 1024
CATALOG_AVERAGE_BYTES = 512 * 1024


class ChunkStream:
    """Takes a stream by `write`; belongs to one thread. Every failure of a chunk comes out of a later `write` or of `close`."""

    def __init__(self, session: Session, sender: ChunkSender, workers: Workers, name: str, *, average: int, counters: Counters) -> None:
        """Create the index `name` (with .didx). average: of the chunks, in bytes, a power of two."""
        self._sender, self._workers, self._counters = sender, workers, counters
        self._writer = IndexWriter(session, sender, "dynamic", name)
        self._chunker = Chunker(average)
        self._current = bytearray()
        self._scanned = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the stream; the buffer may be reused on return."""
        self._current += data
        if len(self._current) - self._scanned >= SCAN_BYTES:
            self._scan()

    def close(self) -> ClosedIndex:
        """The stream has ended: send the rest, wait for all answers, close the index."""
        self._scan()
        if self._current:
            self._hand_over(len(self._current))
        return self._writer.close()

    def abandon(self) -> None:
        """After a failure, when the session is closed."""
        self._writer.abandon()

    def _scan(self) -> None:
        with memoryview(self._current) as whole, whole[self._scanned :] as fresh:
            cuts = self._chunker.feed(fresh)
        at, done = self._scanned, 0
        for cut in cuts:
            self._hand_over(at + cut - done)
            done, at = cut, 0
        self._scanned = len(self._current)

    def _hand_over(self, size: int) -> None:
        """Give the first `size` collected bytes away as one chunk; what follows is less than a scan step and is copied."""
        chunk, self._current = self._current, self._current[size:]
        del chunk[size:]
        self._writer.add(
            self._workers.submit(size, lambda: self._sender.send("dynamic", self._writer.id, memoryview(chunk), self._counters))
        )
