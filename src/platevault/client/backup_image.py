"""Back up a disk image: blocks of 4 MiB under a fixed index. Holes are not read, zeros are sent once, known blocks not at all.

Source: spec formats §3.1, §9.5, wire-protocol §6.3. Each worker reads, hashes and sends one block at a time in its own buffer, so memory is
threads x (4 MiB + the compressed block), whatever the size of the image.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from platevault.client.chunk_sender import ChunkSender, SentChunk
from platevault.client.image_source import ImageSource
from platevault.client.index_writer import ClosedIndex, IndexWriter
from platevault.client.session import Session
from platevault.client.statistics import Counters, Progress
from platevault.client.workers import Workers

CHUNK_BYTES = 4 * 1024 * 1024  # servers take no other size for images
ZEROS = bytes(CHUNK_BYTES)


def back_up_image(
    session: Session, sender: ChunkSender, workers: Workers, path: Path, name: str, *, counters: Counters, progress: Progress
) -> ClosedIndex:
    """Read the image at `path` and write it as `name` (with .fidx). Raises UnreadableSource, or what the server refuses."""
    with ImageSource(path) as source:
        progress.begin(name, source.size)
        writer = IndexWriter(session, sender, "fixed", name, size=source.size)
        blocks = _Blocks(source, sender, writer.id, counters, progress)
        try:
            for start in range(0, source.size, CHUNK_BYTES):
                writer.add(blocks.begin(workers, start))
            closed = writer.close()
        except BaseException:
            session.close()
            workers.stop(drop=True)
            writer.abandon()
            raise
        progress.end()
        return closed


class _Blocks:
    """The work on single blocks."""

    def __init__(self, source: ImageSource, sender: ChunkSender, writer: int, counters: Counters, progress: Progress) -> None:
        self._source, self._sender, self._writer = source, sender, writer
        self._counters, self._progress = counters, progress
        self._mine = threading.local()
        self._zero_digest = sender.digest(memoryview(ZEROS)) if source.size >= CHUNK_BYTES else b""

    def begin(self, workers: Workers, start: int) -> Future[SentChunk]:
        """The block that begins at `start`, now in the hands of a worker; a hole costs nothing once the zero block is known."""
        end = min(start + CHUNK_BYTES, self._source.size)
        if end - start == CHUNK_BYTES and self._source.is_hole(start, end):
            done: Future[SentChunk] = Future()
            done.set_result(self._send(memoryview(ZEROS), self._zero_digest))
            return done
        return workers.submit(end - start, lambda: self._read_and_send(start, end - start))

    def _read_and_send(self, start: int, size: int) -> SentChunk:
        view = self._buffer()[:size]
        self._source.read_into(view, start)
        zero = size == CHUNK_BYTES and view.obj == ZEROS
        return self._send(view, self._zero_digest if zero else None)

    def _send(self, view: memoryview, digest: bytes | None) -> SentChunk:
        sent = self._sender.send("fixed", self._writer, view, self._counters, digest=digest)
        self._progress.advance(len(view))
        return sent

    def _buffer(self) -> memoryview:
        """4 MiB of this thread; used again for every block, because fresh memory costs a page fault for every 4 KiB."""
        buffer: memoryview | None = getattr(self._mine, "buffer", None)
        if buffer is None:
            buffer = self._mine.buffer = memoryview(bytearray(CHUNK_BYTES))
        return buffer
