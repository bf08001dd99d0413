"""One index of the snapshot being written: created, filled in order, closed.

Source: spec wire-protocol §3.4, §3.7, §3.8, §6.8. A thread of its own takes the chunks in archive order, waits until the upload of each was
answered, and appends at most 128 of them with one request, one request after the other. At most 64 chunks wait for their answer.
"""

from __future__ import annotations

import hashlib
import queue
import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from platevault.client.chunk_sender import ChunkSender, IndexKind, SentChunk
from platevault.client.session import Session, answered
from platevault.errors import Corrupt, PlatevaultError, Unavailable

MAX_ENTRIES = 128  # a PUT of that size stays below the 64 KiB that old servers take
MAX_UNANSWERED = 64  # below the 200 streams that servers allow, with room for a second archive
END_AND_DIGEST = struct.Struct("<Q32s")


@dataclass(frozen=True, slots=True)
class ClosedIndex:
    """What the manifest says about an index: its checksum (hex), and the bytes and chunks of the archive."""

    csum: str
    size: int
    chunks: int


def _writer_id(name: str, data: object) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise Corrupt(f"creating {name}: the server has answered with no number of a writer", got=data)
    return data


class IndexWriter:
    """Fills one index. `add` and `close` belong to one thread; the appending thread is the only one that touches the other state."""

    def __init__(self, session: Session, sender: ChunkSender, kind: IndexKind, name: str, *, size: int | None = None) -> None:
        """Create the index on the server. name: the server's, with extension. size: of a fixed index, in bytes."""
        self._session, self._sender, self._kind, self.name = session, sender, kind, name
        query: dict[str, object] = {"archive-name": name} if size is None else {"archive-name": name, "size": size}
        self.id = _writer_id(name, session.call(f"creating {name}", "POST", f"/{kind}_index", query))
        # One more is in the hands of the appending thread, and one in those of `add`.
        self._waiting: queue.Queue[Future[SentChunk] | None] = queue.Queue(MAX_UNANSWERED - 2)
        self._checksum = hashlib.sha256()
        self._end = self._chunks = 0
        self._digests: list[str] = []
        self._offsets: list[int] = []
        self._failure: BaseException | None = None
        self._appender = threading.Thread(target=self._append_all, name=f"append {name}", daemon=True)
        self._appender.start()

    def add(self, chunk: Future[SentChunk]) -> None:
        """Put the next chunk of the archive behind the others. Raises what made an earlier one fail."""
        self._raise_failure()
        self._waiting.put(chunk)

    def close(self) -> ClosedIndex:
        """Wait for all answers and close the index on the server, which checks count, size and checksum.

        Raises the failure of any chunk, or a Refused.
        """
        self._waiting.put(None)
        self._appender.join()
        self._raise_failure()
        closed = ClosedIndex(self._checksum.hexdigest(), self._end, self._chunks)
        query = {"wid": self.id, "chunk-count": closed.chunks, "size": closed.size, "csum": closed.csum}
        self._session.call(f"closing {self.name}", "POST", f"/{self._kind}_close", query)
        return closed

    def abandon(self) -> None:
        """End the appending thread after a failure; the session must be closed already, so that nothing waits for ever."""
        self._failure = self._failure or Unavailable("the backup was abandoned")
        self._waiting.put(None)
        self._appender.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _append_all(self) -> None:
        while (chunk := self._waiting.get()) is not None:
            if self._failure is None:
                self._guarded(chunk)
        if self._failure is None:
            self._guarded(None)

    def _guarded(self, chunk: Future[SentChunk] | None) -> None:
        """After a failure the queue is still emptied, so that `add` never waits for a thread that is gone."""
        try:
            if chunk is None:
                self._flush()
            else:
                self._take(chunk.result())
        except PlatevaultError as error:
            self._failure = error
        except BaseException as error:
            self._failure = error if isinstance(error, OSError) else Unavailable(f"{self.name}: a chunk was not sent: {error!r}")

    def _take(self, chunk: SentChunk) -> None:
        if chunk.answer is not None:
            answered(f"uploading a chunk of {self.name}", chunk.answer)
            self._sender.confirm(chunk)
        self._digests.append(chunk.digest.hex())
        self._offsets.append(self._end)
        self._end += chunk.length
        self._chunks += 1
        self._checksum.update(chunk.digest if self._kind == "fixed" else END_AND_DIGEST.pack(self._end, chunk.digest))
        if len(self._digests) == MAX_ENTRIES:
            self._flush()

    def _flush(self) -> None:
        if self._digests:
            parameters = {"wid": self.id, "digest-list": self._digests, "offset-list": self._offsets}
            self._session.call_json(f"appending to {self.name}", "PUT", f"/{self._kind}_index", parameters)
            self._digests, self._offsets = [], []
