"""The client side of one HTTP/2 connection to a backup or reader session.

Source: RFC 9113; spec wire-protocol §2.8, §6.8. One thread of its own receives; any thread may send requests, and many may be in
flight. A request is sent whole before the next one starts; sending waits for the server's windows, so a server that stops
reading stops us instead of filling memory. Memory: the answers that nobody has collected yet, each at most what its request allows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from urllib.parse import urlencode

from platevault.wire.http2 import frames
from platevault.wire.http2.call import STREAM_WINDOW_BYTES, Answer, BrokenAnswer, Call, ConnectionLost, header_block
from platevault.wire.http2.calls import Calls
from platevault.wire.http2.frames import ConnectionFault, ErrorCode, FrameScanner
from platevault.wire.http2.headers import HeaderDecoder, encode_fields
from platevault.wire.http2.windows import ReceiveWindow
from platevault.wire.link import LinkClosed, TlsLink

CONNECTION_WINDOW_BYTES = frames.MAX_WINDOW
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # unless the request says otherwise; the largest chunk has 16 MiB
MAX_BLOCK_BYTES = 256 * 1024
RECEIVE_BYTES = 1024 * 1024
CLOSE_TIMEOUT_S = 10
AUTHORITY = "localhost:8007"  # what existing clients send; servers do not look at it

Body = bytes | bytearray | memoryview | Iterable[bytes | memoryview]


class ClientConnection:
    """Requests over one connection. `_sending` is held while one request goes out; what is shared otherwise is in `_calls`."""

    def __init__(self, link: TlsLink) -> None:
        """Say hello at once. Raises LinkClosed when the server is gone already."""
        self._link = link
        self._sending = threading.Lock()
        self._calls = Calls()
        self._receive_window = ReceiveWindow(CONNECTION_WINDOW_BYTES)
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
        settings = {
            frames.SETTING_ENABLE_PUSH: 0,
            frames.SETTING_INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            frames.SETTING_MAX_FRAME_SIZE: frames.MAX_FRAME_BYTES,
        }
        return frames.settings_frame(settings) + frames.window_update(0, CONNECTION_WINDOW_BYTES - frames.DEFAULT_WINDOW)

    # --- sending ---

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Body = b"",
        content_type: str | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Future[Answer]:
        """Send one request; returns at once after the last byte is handed to the socket.

        body: may be several buffers, they are sent one after the other. max_bytes: of the answer's body.
        The future holds the Answer, ConnectionLost or BrokenAnswer. Raises ConnectionLost when the connection has ended before.
        """
        buffers = [body] if isinstance(body, bytes | bytearray | memoryview) else list(body)
        pieces = [memoryview(piece) for piece in buffers if len(piece)]
        with self._sending:
            stream_id, call = self._calls.open(max_bytes)
            try:
                self._send_head(stream_id, method, path, query, content_type, has_body=bool(pieces))
                if not self._send_body(stream_id, call, pieces):
                    self._link.send(frames.reset_frame(stream_id, ErrorCode.NO_ERROR))
            except LinkClosed as error:
                self._calls.fail(error)
        return call.future

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

    def _send_body(self, stream_id: int, call: Call, pieces: list[memoryview]) -> bool:
        """False when the call was over before all was sent."""
        for number, piece in enumerate(pieces):
            last, start = number == len(pieces) - 1, 0
            while start < len(piece):
                size = self._calls.take_window(call, len(piece) - start)
                if not size:
                    return False
                flags = frames.END_STREAM if last and start + size == len(piece) else 0
                header = frames.frame_header(size, frames.DATA, flags, stream_id)
                self._link.send(header, piece[start : start + size])
                start += size
        return True

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
        except Exception as error:
            # Whatever it was, without this thread no answer will come, and who sends would wait for ever.
            self._calls.fail(error)
            self._link.abort()

    def data_begins(self, stream_id: int, frame_bytes: int) -> None:
        self._receive_window.take(frame_bytes)
        call = self._calls.get(stream_id)
        if call is not None:
            call.receive_window.take(frame_bytes)

    def data_piece(self, stream_id: int, piece: memoryview) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            try:
                call.add(piece)
            except BrokenAnswer as error:
                self._cancel(stream_id, error)

    def data_ends(self, stream_id: int, frame_bytes: int, *, end_stream: bool) -> None:
        if grant := self._receive_window.consume(frame_bytes):
            self._link.send(frames.window_update(0, grant))
        call = self._calls.get(stream_id)
        if call is None:
            return
        if end_stream:
            self._calls.end(stream_id)
        elif grant := call.receive_window.consume(frame_bytes):
            self._link.send(frames.window_update(stream_id, grant))

    def control(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        if self._block_stream and (kind != frames.CONTINUATION or stream_id != self._block_stream):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "header block interrupted")
        if kind == frames.HEADERS:
            self._block, self._block_stream = header_block(flags, payload), stream_id
            self._block_ends_stream = bool(flags & frames.END_STREAM)
            self._on_block(flags)
        elif kind == frames.CONTINUATION:
            self._block += payload
            self._on_block(flags)
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._calls.apply_settings(payload)
            self._link.send(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif kind == frames.WINDOW_UPDATE:
            self._calls.grant(stream_id, int.from_bytes(payload, "big") & frames.MAX_WINDOW)
        elif kind == frames.PING and not flags & frames.ACK:
            self._link.send(frames.frame(frames.PING, frames.ACK, 0, bytes(payload)))
        elif kind == frames.RST_STREAM:
            self._calls.end(stream_id, ConnectionLost(f"the server cancelled the request (HTTP/2 code {int.from_bytes(payload, 'big')})"))
        elif kind == frames.GOAWAY:
            self._calls.end_after(int.from_bytes(payload[:4], "big") & frames.MAX_WINDOW, int.from_bytes(payload[4:8], "big"))

    def _on_block(self, flags: int) -> None:
        if len(self._block) > MAX_BLOCK_BYTES or not self._block_stream:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too large or of no stream")
        if not flags & frames.END_HEADERS:
            return
        stream_id, self._block_stream = self._block_stream, 0
        fields = dict(self._decoder.decode(self._block))
        call = self._calls.get(stream_id)
        if call is None:
            return
        try:
            call.head(fields)
        except BrokenAnswer as error:
            self._cancel(stream_id, error)
        if self._block_ends_stream:
            self._calls.end(stream_id)

    def _cancel(self, stream_id: int, error: BrokenAnswer) -> None:
        self._calls.end(stream_id, error)
        self._link.send(frames.reset_frame(stream_id, ErrorCode.CANCEL))

    # --- the end ---

    def close(self) -> None:
        """Drop the connection; requests still in flight fail with ConnectionLost. Harmless twice."""
        self._calls.fail(LinkClosed("closed by us", clean=True))
        self._link.abort()
        self._receiver.join(timeout=CLOSE_TIMEOUT_S)
        self._link.close()
