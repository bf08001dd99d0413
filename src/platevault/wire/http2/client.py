"""The client side of one HTTP/2 connection to a backup or reader session.

Source: RFC 9113; spec wire-protocol §2.8, §6.8. One thread of its own receives; any thread may send requests, and many may be in
flight. A request is sent whole before the next one starts; sending waits for the server's windows, so a server that stops
reading stops us instead of filling memory. Memory: the answers that nobody has collected yet.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from urllib.parse import urlencode

from platevault.errors import Unavailable
from platevault.wire.http2 import frames
from platevault.wire.http2.frames import ConnectionFault, ErrorCode, FrameScanner
from platevault.wire.http2.headers import HeaderDecoder, encode_fields
from platevault.wire.http2.windows import ReceiveWindow, SendWindow
from platevault.wire.link import LinkClosed, TlsLink

STREAM_WINDOW_BYTES = 32 * 1024 * 1024
CONNECTION_WINDOW_BYTES = frames.MAX_WINDOW
MAX_IN_FLIGHT = 190  # below the 200 of the reference server
RECEIVE_BYTES = 1024 * 1024
MAX_PREPARED_BYTES = 32 * 1024 * 1024  # an announced length is believed up to here
AUTHORITY = "localhost:8007"  # what existing clients send; servers do not look at it


class ConnectionLost(Unavailable):
    """The connection to the server ended before the answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header fields (lower case) and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes | bytearray


@dataclass(slots=True)
class _Call:
    window: SendWindow
    receive_window: ReceiveWindow
    future: Future[Answer] = field(default_factory=Future)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    filled: int = 0
    sending: bool = True

    def expect(self, length: str) -> None:
        """Make room for an announced body at once; growing a buffer of 4 MiB piece by piece costs a copy of it."""
        if length.isdigit() and int(length) <= MAX_PREPARED_BYTES:
            self.body = bytearray(int(length))

    def add(self, piece: memoryview) -> None:
        end = self.filled + len(piece)
        self.body[self.filled : end] = piece
        self.filled = end


class ClientConnection:
    """Requests over one connection. `_state` guards calls and windows; `_sending` is held while one request goes out."""

    def __init__(self, link: TlsLink) -> None:
        self._link = link
        self._state = threading.Condition()
        self._sending = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._next_stream = 1
        self._window = SendWindow(frames.DEFAULT_WINDOW)
        self._receive_window = ReceiveWindow(CONNECTION_WINDOW_BYTES)
        self._initial_window = frames.DEFAULT_WINDOW
        self._frame_bytes = frames.DEFAULT_FRAME_BYTES
        self._max_streams = 100  # assumed until the server's SETTINGS arrive
        self._failure: Exception | None = None
        self._block = bytearray()
        self._block_stream = 0
        self._block_ends_stream = False
        self._decoder = HeaderDecoder()
        link.set_blocking(True)
        link.send(frames.PREFACE + self._opening_frames())
        self._receiver = threading.Thread(target=self._receive_all, name="http2-receive", daemon=True)
        self._receiver.start()

    @staticmethod
    def _opening_frames() -> bytes:
        settings = {frames.SETTING_INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES, frames.SETTING_MAX_FRAME_SIZE: frames.MAX_FRAME_BYTES}
        return frames.settings_frame(settings) + frames.window_update(0, CONNECTION_WINDOW_BYTES - frames.DEFAULT_WINDOW)

    # --- sending ---

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | bytearray | memoryview | Iterable[bytes | memoryview] = b"",
        content_type: str | None = None,
    ) -> Future[Answer]:
        """Send one request; returns at once after the last byte is handed to the socket. The future holds the Answer, or
        ConnectionLost. `body` may be several buffers, they are sent one after the other."""
        buffers = [body] if isinstance(body, bytes | bytearray | memoryview) else list(body)
        pieces = [memoryview(piece) for piece in buffers if len(piece)]
        with self._sending:
            stream_id, call = self._open_call()
            try:
                self._send_head(stream_id, method, path, query, content_type, has_body=bool(pieces))
                self._send_body(stream_id, call, pieces)
            except LinkClosed as error:
                self._fail(error)
        return call.future

    def _open_call(self) -> tuple[int, _Call]:
        with self._state:
            while self._failure is None and len(self._calls) >= min(self._max_streams, MAX_IN_FLIGHT):
                self._state.wait()
            self._raise_failure()
            stream_id, self._next_stream = self._next_stream, self._next_stream + 2
            call = self._calls[stream_id] = _Call(SendWindow(self._initial_window), ReceiveWindow(STREAM_WINDOW_BYTES))
            return stream_id, call

    def _send_head(
        self, stream_id: int, method: str, path: str, query: Mapping[str, object] | None, content_type: str | None, *, has_body: bool
    ) -> None:
        target = f"{path}?{urlencode(sorted(query.items()))}" if query else path
        fields = [(":method", method), (":scheme", "https"), (":authority", AUTHORITY), (":path", target)]
        if content_type is not None:
            fields.append(("content-type", content_type))
        flags = frames.END_HEADERS | (0 if has_body else frames.END_STREAM)
        # The uncached function: a target with a digest in it never comes again.
        block = encode_fields.__wrapped__(tuple(fields))
        self._link.send(frames.frame(frames.HEADERS, flags, stream_id, block))

    def _send_body(self, stream_id: int, call: _Call, pieces: list[memoryview]) -> None:
        for number, piece in enumerate(pieces):
            last, start = number == len(pieces) - 1, 0
            while start < len(piece) and call.sending:
                size = self._take_window(call, len(piece) - start)
                if not size:
                    return
                flags = frames.END_STREAM if last and start + size == len(piece) else 0
                header = frames.frame_header(size, frames.DATA, flags, stream_id)
                self._link.send(header, piece[start : start + size])
                start += size

    def _take_window(self, call: _Call, wanted: int) -> int:
        """Bytes that may go out now, at least 1; waits for the server. 0 when the call is over already."""
        with self._state:
            while self._failure is None and call.sending and min(call.window.left, self._window.left) <= 0:
                self._state.wait()
            if self._failure is not None or not call.sending:
                return 0
            size = min(wanted, call.window.left, self._window.left, self._frame_bytes)
            call.window.left -= size
            self._window.left -= size
            return size

    # --- receiving ---

    def _receive_all(self) -> None:
        scanner, buffer, filled = FrameScanner(self), memoryview(bytearray(RECEIVE_BYTES)), 0
        try:
            while True:
                filled += self._link.receive(buffer[filled:])
                taken = scanner.scan(buffer[:filled])
                rest = filled - taken
                if taken and rest:
                    buffer[:rest] = buffer[taken:filled]
                filled = rest
        except (LinkClosed, ConnectionFault) as error:
            self._fail(error)

    def data_begins(self, stream_id: int, frame_bytes: int) -> None:
        self._receive_window.take(frame_bytes)
        call = self._calls.get(stream_id)
        if call is not None:
            call.receive_window.take(frame_bytes)

    def data_piece(self, stream_id: int, piece: memoryview) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            call.add(piece)

    def data_ends(self, stream_id: int, frame_bytes: int, *, end_stream: bool) -> None:
        if grant := self._receive_window.consume(frame_bytes):
            self._link.send(frames.window_update(0, grant))
        call = self._calls.get(stream_id)
        if call is None:
            return
        if end_stream:
            self._complete(stream_id)
        elif grant := call.receive_window.consume(frame_bytes):
            self._link.send(frames.window_update(stream_id, grant))

    def control(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        if kind == frames.HEADERS:
            start = 5 if flags & frames.PRIORITY_FLAG else 0
            end = len(payload)
            if flags & frames.PADDED and end:
                start, end = start + 1, end - payload[0]
            self._block, self._block_stream = bytearray(payload[start:end]), stream_id
            self._block_ends_stream = bool(flags & frames.END_STREAM)
            self._maybe_headers(flags)
        elif kind == frames.CONTINUATION:
            self._block += payload
            self._maybe_headers(flags)
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._on_settings(payload)
        elif kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream_id, int.from_bytes(payload, "big") & frames.MAX_WINDOW)
        elif kind == frames.PING and not flags & frames.ACK:
            self._link.send(frames.frame(frames.PING, frames.ACK, 0, bytes(payload)))
        elif kind == frames.RST_STREAM:
            self._on_reset(stream_id, int.from_bytes(payload, "big"))

    def _maybe_headers(self, flags: int) -> None:
        if len(self._block) > frames.MAX_CONTROL_BYTES * 4:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
        if not flags & frames.END_HEADERS:
            return
        fields = dict(self._decoder.decode(self._block))
        call = self._calls.get(self._block_stream)
        if call is None:
            return
        if ":status" in fields and fields[":status"].isdigit():
            call.status = int(fields.pop(":status"))
            call.headers = fields
            call.expect(fields.get("content-length", ""))
        if self._block_ends_stream:
            self._complete(self._block_stream)

    def _on_settings(self, payload: memoryview) -> None:
        with self._state:
            for name, value in frames.parse_settings(payload):
                if name == frames.SETTING_MAX_FRAME_SIZE:
                    self._frame_bytes = min(value, frames.MAX_FRAME_BYTES)
                elif name == frames.SETTING_MAX_CONCURRENT_STREAMS:
                    self._max_streams = max(1, value)
                elif name == frames.SETTING_INITIAL_WINDOW_SIZE:
                    change, self._initial_window = value - self._initial_window, value
                    for call in self._calls.values():
                        call.window.grant(change)
            self._state.notify_all()
        self._link.send(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _on_window_update(self, stream_id: int, increment: int) -> None:
        with self._state:
            call = self._calls.get(stream_id)
            window = self._window if stream_id == 0 else call.window if call is not None else None
            if window is not None:
                window.grant(increment)
                self._state.notify_all()

    def _on_reset(self, stream_id: int, code: int) -> None:
        with self._state:
            call = self._calls.pop(stream_id, None)
            if call is None:
                return
            call.sending = False
            self._state.notify_all()
        call.future.set_exception(ConnectionLost(f"the server cancelled the request (HTTP/2 code {code})"))

    def _complete(self, stream_id: int) -> None:
        with self._state:
            call = self._calls.pop(stream_id)
            call.sending = False  # an answer before the end of our body: the rest is not wanted
            self._state.notify_all()
        del call.body[call.filled :]
        call.future.set_result(Answer(call.status, call.headers, call.body))

    # --- the end ---

    def _fail(self, error: Exception) -> None:
        with self._state:
            if self._failure is None:
                self._failure = error
            calls, self._calls = list(self._calls.values()), {}
            self._state.notify_all()
        for call in calls:
            call.future.set_exception(self._lost())

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"connection to the server lost: {self._failure}")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._lost() from self._failure

    def close(self) -> None:
        """Drop the connection; requests still in flight fail with ConnectionLost. Harmless twice."""
        self._fail(LinkClosed("closed by us", clean=True))
        self._link.abort()
        self._receiver.join(timeout=10)
        self._link.close()
