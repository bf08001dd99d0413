"""Chunks of an archive fetched ahead: requested early, opened by the workers, given out in order or used where they arrive.

Source: spec wire-protocol §6.5: up to 16 requests in flight, as the QEMU library does. Memory: requested, arrived and opened chunks hold
together at most `MAX_AHEAD_BYTES` and one chunk more, since a chunk is never larger than its plain length plus 44 bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial

from platevault.client.reader import ChunkDecoder, SnapshotReader
from platevault.client.workers import Workers
from platevault.wire.http2.call import Answer

MAX_REQUESTS = 16
MAX_AHEAD_BYTES = 64 * 1024 * 1024


class ChunkFetcher:
    """Fetches chunks of one archive. Belongs to one thread; the chunks are opened in those of `workers`."""

    def __init__(self, reader: SnapshotReader, decoder: ChunkDecoder, workers: Workers) -> None:
        self._reader, self._decoder, self._workers = reader, decoder, workers

    def in_order(self, wanted: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
        """The data of the chunks (digest, plain size) as they are wanted. Raises at the first that fails."""
        return self._run((digest, size, self._open) for digest, size in wanted)

    def each(self, wanted: Iterable[tuple[bytes, int, Callable[[bytes], None]]]) -> None:
        """Hand the data of each chunk (digest, plain size, receiver) to its receiver, in any order and in several threads."""
        for _ in self._run((digest, size, partial(self._use, receiver)) for digest, size, receiver in wanted):
            pass

    def _open(self, digest: bytes, size: int, pending: Future[Answer]) -> bytes:
        return self._decoder.open(digest, size, pending)

    def _use(self, receiver: Callable[[bytes], None], digest: bytes, size: int, pending: Future[Answer]) -> bytes:
        receiver(self._decoder.open(digest, size, pending))
        return b""

    def _run(self, wanted: Iterable[tuple[bytes, int, Callable[[bytes, int, Future[Answer]], bytes]]]) -> Iterator[bytes]:
        running: deque[tuple[int, Future[bytes]]] = deque()
        ahead = 0
        for digest, size, job in wanted:
            pending = self._reader.request_chunk(digest)
            running.append((size, self._workers.submit(size, partial(job, digest, size, pending))))
            ahead += size
            while len(running) >= MAX_REQUESTS or ahead > MAX_AHEAD_BYTES:
                size, future = running.popleft()
                ahead -= size
                yield future.result()
        for _, future in running:
            yield future.result()
