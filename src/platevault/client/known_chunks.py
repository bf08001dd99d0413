"""Which chunks the server has already, as far as this session may refer to them.

Source: spec wire-protocol §3.7, §6.8: a digest may be appended only when it was uploaded in this session or stands in an index that was
fetched as `previous`. Memory: 32 bytes a chunk of the previous indexes, about 150 bytes a chunk uploaded now.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from platevault.wire.http2.call import Answer

DIGEST = np.dtype("S32")


class KnownChunks:
    """Digests the server knows, and uploads whose answer is awaited. `_lock` guards both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._previous: list[NDArray[np.bytes_]] = []
        self._uploads: dict[bytes, Future[Answer] | None] = {}

    def add_previous(self, digests: NDArray[np.uint8]) -> None:
        """Take over an index, shape (chunks, 32), that the server has just sent us as `previous`."""
        ordered = np.unique(np.ascontiguousarray(digests).view(DIGEST).reshape(-1))
        with self._lock:
            self._previous.append(ordered)

    def claim(self, digest: bytes) -> Claim | Future[Answer] | None:
        """None: the server has it. A future: another thread is sending it. A Claim: the caller must send it and settle the claim."""
        with self._lock:
            if digest in self._uploads:
                return self._uploads[digest]
            if self._stood_before(digest):
                return None
            claim = Claim()
            self._uploads[digest] = claim.answer
            return claim

    def confirm(self, digest: bytes) -> None:
        """The upload was answered with success: its future need not be kept."""
        with self._lock:
            self._uploads[digest] = None

    def _stood_before(self, digest: bytes) -> bool:
        key = np.array(digest, DIGEST)
        for ordered in self._previous:
            at = int(np.searchsorted(ordered, key))
            if at < len(ordered) and ordered[at] == key:
                return True
        return False


class Claim:
    """The right and duty of one thread to send a chunk. Others who need it wait for `answer`."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer: Future[Answer] = Future()

    def settle(self, sent: Future[Answer]) -> None:
        """Pass on the answer, or the failure, of the request that carries the chunk."""
        sent.add_done_callback(self._pass_on)

    def fail(self, error: BaseException) -> None:
        """The chunk was not sent."""
        self.answer.set_exception(error)

    def _pass_on(self, sent: Future[Answer]) -> None:
        error = sent.exception()
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(sent.result())
