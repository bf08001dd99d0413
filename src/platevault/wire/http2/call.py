"""One request of a client on its way: what may still be sent, and what has come of the answer. No I/O.

Source: RFC 9113 §8.1. An answer that breaks the rules (no status, another length than announced, more bytes than the caller takes)
becomes a BrokenAnswer: a server that lies or is broken must cost no more memory than an honest one.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from platevault.errors import Corrupt, PlatevaultError, Unavailable
from platevault.wire.http2 import frames
from platevault.wire.http2.frames import ConnectionFault, ErrorCode
from platevault.wire.http2.windows import ReceiveWindow, SendWindow

STREAM_WINDOW_BYTES = 32 * 1024 * 1024
MAX_PREPARED_BYTES = 32 * 1024 * 1024  # an announced length is believed up to here


class ConnectionLost(Unavailable):
    """The connection to the server ended before the answer came."""


class BrokenAnswer(Corrupt):
    """The answer is none, or larger than the request allows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header fields (lower case) and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes | bytearray


@dataclass(slots=True)
class Call:
    """`sending`: the body is still wanted. The future holds the Answer, or what went wrong; it is settled once."""

    window: SendWindow
    max_bytes: int
    receive_window: ReceiveWindow = field(default_factory=lambda: ReceiveWindow(STREAM_WINDOW_BYTES))
    future: Future[Answer] = field(default_factory=Future)
    sending: bool = True
    _status: int = 0
    _headers: dict[str, str] = field(default_factory=dict)
    _body: bytearray = field(default_factory=bytearray)
    _filled: int = 0
    _announced: int | None = None

    def grant(self, increment: int) -> None:
        """More room to send. Raises ConnectionFault when the sum is out of range."""
        if not self.window.grant(increment):
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window of a stream")

    def head(self, fields: dict[str, str]) -> None:
        """Take the headers of the answer. Interim answers and trailers change nothing. Raises BrokenAnswer."""
        status = fields.pop(":status", "")
        if not status.isascii() or not status.isdigit() or self._status or int(status) < 200:
            return
        self._status, self._headers = int(status), fields
        length = fields.get("content-length", "")
        if length.isascii() and length.isdigit():
            self._announced = int(length)
            self._check_size(self._announced)
            if self._announced <= MAX_PREPARED_BYTES:
                # At once, because growing a buffer of 4 MiB piece by piece costs a copy of it.
                self._body = bytearray(self._announced)

    def add(self, piece: memoryview) -> None:
        """Take a piece of the body. Raises BrokenAnswer."""
        end = self._filled + len(piece)
        self._check_size(end)
        self._body[self._filled : end] = piece
        self._filled = end

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise BrokenAnswer(f"the answer of the server is larger than {self.max_bytes} bytes", expected=self.max_bytes, got=size)

    def complete(self) -> None:
        """The answer has ended: settle the future."""
        self.sending = False  # an answer before the end of our body: the rest is not wanted
        del self._body[self._filled :]
        if not self._status:
            self.fail(BrokenAnswer("the answer of the server has no status"))
        elif self._announced not in (None, self._filled):
            self.fail(
                BrokenAnswer("the answer of the server has another length than announced", expected=self._announced, got=self._filled)
            )
        else:
            self.future.set_result(Answer(self._status, self._headers, self._body))

    def fail(self, error: PlatevaultError) -> None:
        """There will be no answer."""
        self.sending = False
        self.future.set_exception(error)


def header_block(flags: int, payload: memoryview) -> bytearray:
    """The part of a HEADERS frame that is the block. Raises ConnectionFault."""
    start, end = 0, len(payload)
    if flags & frames.PADDED:
        if not end or payload[0] >= end:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
        start, end = 1, end - payload[0]
    if flags & frames.PRIORITY_FLAG:
        start += 5
    if start > end:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS length")
    return bytearray(payload[start:end])
