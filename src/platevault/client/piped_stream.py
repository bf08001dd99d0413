"""A stream that is cut into chunks by a thread of its own, so that who makes it can go on with the next file.

The cutting takes about a fifth of the time that reading a tree of small files takes, without holding the interpreter. Memory: `MAX_WAITING`
pieces of about 1 MiB beside those of the stream itself.
"""

from __future__ import annotations

import queue
import threading

from platevault.client.chunk_stream import ChunkStream
from platevault.client.index_writer import ClosedIndex
from platevault.errors import Unavailable

MAX_WAITING = 8


class PipedStream:
    """Takes pieces by `write` and hands them on to a `ChunkStream` in order. `write` and `close` belong to one thread.

    A failure of the stream comes out of a later `write` or of `close`.
    """

    def __init__(self, stream: ChunkStream) -> None:
        self._stream = stream
        self._waiting: queue.Queue[bytes | bytearray | None] = queue.Queue(MAX_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="append chunks", daemon=True)
        self._thread.start()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece. A bytearray belongs to the stream from now on; a view is copied, its buffer may be used again."""
        if self._failure is not None:
            raise self._failure
        self._waiting.put(data.tobytes() if isinstance(data, memoryview) else data)

    def close(self) -> ClosedIndex:
        """The stream has ended: wait for all answers, close the index."""
        self._end()
        if self._failure is not None:
            raise self._failure
        return self._stream.close()

    def abandon(self) -> None:
        """After a failure, when the session is closed."""
        self._failure = self._failure or Unavailable("the backup was abandoned")
        self._end()
        self._stream.abandon()

    def _end(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        """After a failure the queue is still emptied, so that `write` never waits for a thread that is gone."""
        while (data := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._stream.write(data)
                except BaseException as error:
                    self._failure = error
