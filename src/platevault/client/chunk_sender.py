"""One chunk on its way to the server: digest, known?, seal, send. Runs in the worker threads.

The data buffer is free again when `send` returns: the request has then been handed to the kernel, only its answer is awaited. So memory
does not grow with the number of unanswered uploads.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from platevault.client.known_chunks import Claim, KnownChunks
from platevault.client.seal import Sealer
from platevault.client.session import Session
from platevault.client.statistics import Counters
from platevault.formats.keys import CryptKey
from platevault.wire.http2.call import Answer

IndexKind = Literal["fixed", "dynamic"]


@dataclass(frozen=True, slots=True)
class SentChunk:
    """`answer` is None when the server knew the chunk before."""

    digest: bytes
    length: int
    answer: Future[Answer] | None


class ChunkSender:
    """Sends chunks for all indexes of a session. Thread-safe."""

    def __init__(self, session: Session, known: KnownChunks, key: CryptKey | None) -> None:
        self._session = session
        self._known = known
        self._sealer = Sealer(key)

    def digest(self, data: memoryview) -> bytes:
        """The digest of plain data, keyed when the backup is encrypted."""
        return self._sealer.digest(data)

    def send(self, kind: IndexKind, writer: int, data: memoryview, counters: Counters, *, digest: bytes | None = None) -> SentChunk:
        """Send a chunk unless the server has it. digest: when it has been computed already.

        Raises Unavailable when the connection is lost; a refusal comes with the answer.
        """
        digest = digest or self.digest(data)
        claim = self._known.claim(digest)
        if not isinstance(claim, Claim):
            counters.reused(len(data))
            return SentChunk(digest, len(data), claim)
        try:
            encoded = self._upload(kind, writer, digest, data, claim)
        except BaseException as error:
            claim.fail(error)
            raise
        counters.uploaded(len(data), encoded)
        return SentChunk(digest, len(data), claim.answer)

    def _upload(self, kind: IndexKind, writer: int, digest: bytes, data: memoryview, claim: Claim) -> int:
        chunk = self._sealer.seal(data)
        query = {"wid": writer, "digest": digest.hex(), "size": len(data), "encoded-size": chunk.encoded_bytes}
        claim.settle(self._session.send("POST", f"/{kind}_chunk", query, (chunk.header, chunk.payload)))
        return chunk.encoded_bytes

    def confirm(self, chunk: SentChunk) -> None:
        """The chunk's upload was answered with success."""
        self._known.confirm(chunk.digest)
