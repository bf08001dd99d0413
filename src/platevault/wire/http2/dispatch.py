"""Requests of one server connection: frames in, handler calls, answers out. No I/O of its own.

A stream lives from its HEADERS until both the request body has ended and the answer has been sent. Streams with an odd number
at or below the highest seen that are not in the table are closed; higher ones are idle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import formatdate
from typing import TypeVar

from platevault.wire.http2 import frames
from platevault.wire.http2.frames import ConnectionFault, ErrorCode, StreamFault
from platevault.wire.http2.headers import (
    EMPTY_TABLE,
    MAX_HEADER_LIST_BYTES,
    HeaderDecoder,
    HeaderListTooLarge,
    encode_fields,
    request_from,
)
from platevault.wire.http2.message import FileBody, Handler, Response, Upload
from platevault.wire.http2.outbox import Outbox
from platevault.wire.http2.windows import ReceiveWindow, SendWindow

MAX_STREAMS = 200  # spec wire-protocol §2.8; fewer than 100 breaks the Go client
WINDOW_BYTES = 32 * 1024 * 1024
MAX_HEADER_BLOCK_BYTES = 64 * 1024  # four times what we announced: no honest peer
CALM_BUDGET = 200  # cheap requests or frames without progress that a peer may pile up before it is sent away

log = logging.getLogger(__name__)

T = TypeVar("T")


class _Stream:
    __slots__ = ("announced", "answered", "ended", "receive_window", "received", "send_window", "upload")

    def __init__(self, send_bytes: int) -> None:
        self.receive_window = ReceiveWindow(WINDOW_BYTES)
        self.send_window = SendWindow(send_bytes)
        self.upload: Upload | None = None
        self.ended = False  # the peer has sent all
        self.answered = False  # our answer has left completely
        self.received = 0
        self.announced: int | None = None  # content-length


class Dispatcher:
    """A FrameSink that runs handlers. `queue` takes bytes to send, `delay` answers that must wait."""

    def __init__(
        self,
        handler: Handler,
        queue: Callable[[bytes | memoryview], None],
        delay: Callable[[int, Response], None],
        now: Callable[[], float],
    ) -> None:
        self._handler, self._queue, self._delay, self._now = handler, queue, delay, now
        self.outbox = Outbox(queue, self._answer_sent, self._answer_failed)
        self._streams: dict[int, _Stream] = {}
        self._window = ReceiveWindow(WINDOW_BYTES)
        self._headers = HeaderDecoder()
        self._block = bytearray()
        self._block_stream = 0
        self._block_ends_stream = False
        self._peer_window = frames.DEFAULT_WINDOW
        self._before_fields = b""  # what the peer must hear in front of the next header block
        self._settings_seen = False
        self._peer_leaves = False
        self._calm = CALM_BUDGET
        self.last_stream_id = 0

    def open(self) -> None:
        """Say our settings; sent at once, without waiting for the peer's preface."""
        self._queue(
            frames.settings_frame(
                {
                    frames.SETTING_MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                    frames.SETTING_INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                    frames.SETTING_MAX_FRAME_SIZE: frames.MAX_FRAME_BYTES,
                    frames.SETTING_MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
                }
            )
        )
        self._queue(frames.window_update(0, WINDOW_BYTES - frames.DEFAULT_WINDOW))

    def close(self) -> None:
        """Abort what is still arriving and forget what was to be sent."""
        self.outbox.close()
        for stream in self._streams.values():
            self._abort_upload(stream)
        self._streams.clear()

    def is_finished(self) -> bool:
        """The peer has said GOAWAY and nothing is left to answer."""
        return self._peer_leaves and not self._streams

    # --- DATA ---

    def data_begins(self, stream_id: int, frame_bytes: int) -> None:
        self._check_order(frames.DATA)
        self._window.take(frame_bytes)
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.ended:
            stream.receive_window.take(frame_bytes)
        elif stream_id == 0 or self._is_idle(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"DATA on stream {stream_id}")
        else:
            self._stay_calm()
        if frame_bytes == 0:
            self._stay_calm()

    def data_piece(self, stream_id: int, piece: memoryview) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.ended:
            return
        stream.received += len(piece)
        if stream.upload is not None:
            self._feed(stream_id, stream, stream.upload, piece)

    def data_ends(self, stream_id: int, frame_bytes: int, *, end_stream: bool) -> None:
        if grant := self._window.consume(frame_bytes):
            self._queue(frames.window_update(0, grant))
        stream = self._streams.get(stream_id)
        if stream is None or stream.ended:
            self._reset(stream_id, ErrorCode.STREAM_CLOSED)
        elif end_stream:
            self._end_body(stream_id, stream)
        elif grant := stream.receive_window.consume(frame_bytes):
            self._queue(frames.window_update(stream_id, grant))

    def _feed(self, stream_id: int, stream: _Stream, upload: Upload, piece: memoryview) -> None:
        early = self._guarded(lambda: upload.feed(piece))
        if early is not None:
            stream.upload = None
            self._respond(stream_id, early)

    def _end_body(self, stream_id: int, stream: _Stream) -> None:
        stream.ended = True
        upload, stream.upload = stream.upload, None
        if upload is not None and stream.announced is not None and stream.announced != stream.received:
            stream.upload = upload
            return self._reset(stream_id, ErrorCode.PROTOCOL_ERROR)
        if upload is not None:
            response = self._guarded(upload.finish)
            assert response is not None
            self._respond(stream_id, response)
        return self._forget_if_done(stream_id, stream)

    # --- everything else ---

    def control(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        self._check_order(kind)
        if kind == frames.HEADERS:
            self._on_headers(flags, stream_id, payload)
        elif kind == frames.CONTINUATION:
            self._on_continuation(flags, stream_id, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream_id, payload)
        elif kind == frames.SETTINGS:
            self._on_settings(flags, stream_id, payload)
        elif kind == frames.RST_STREAM:
            self._on_reset(stream_id, payload)
        elif kind == frames.PING:
            self._on_ping(flags, stream_id, payload)
        elif kind == frames.GOAWAY:
            self._peer_leaves = True
        elif kind == frames.PUSH_PROMISE:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _check_order(self, kind: int) -> None:
        if not self._settings_seen and kind != frames.SETTINGS:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS must come first")
        if self._block_stream and kind != frames.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "header block interrupted")

    def _on_headers(self, flags: int, stream_id: int, payload: memoryview) -> None:
        if stream_id % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}")
        start, end = 0, len(payload)
        if flags & frames.PADDED:
            if not end or payload[0] >= end:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
            start, end = 1, end - payload[0]
        if flags & frames.PRIORITY_FLAG:
            start += 5
        if start > end:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS length")
        self._block = bytearray(payload[start:end])
        self._block_stream, self._block_ends_stream = stream_id, bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._block_complete()

    def _on_continuation(self, flags: int, stream_id: int, payload: memoryview) -> None:
        if not self._block_stream or stream_id != self._block_stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block += payload
        if len(self._block) > MAX_HEADER_BLOCK_BYTES or not len(payload):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
        if flags & frames.END_HEADERS:
            self._block_complete()

    def _block_complete(self) -> None:
        stream_id, self._block_stream = self._block_stream, 0
        fields = self._headers.decode(self._block)
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.ended:
            return self._on_trailers(stream_id, stream)
        if stream_id <= self.last_stream_id:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on closed stream {stream_id}")
        self.last_stream_id = stream_id
        if len(self._streams) >= MAX_STREAMS:
            self._stay_calm()
            return self._queue(frames.reset_frame(stream_id, ErrorCode.REFUSED_STREAM))
        return self._open_stream(stream_id, fields)

    def _on_trailers(self, stream_id: int, stream: _Stream) -> None:
        if not self._block_ends_stream:
            return self._reset(stream_id, ErrorCode.PROTOCOL_ERROR)
        return self._end_body(stream_id, stream)

    def _open_stream(self, stream_id: int, fields: list[tuple[str, str]]) -> None:
        stream = self._streams[stream_id] = _Stream(self._peer_window)
        stream.ended = self._block_ends_stream
        try:
            request = request_from(stream_id, fields, end_stream=self._block_ends_stream)
        except HeaderListTooLarge:
            return self._respond(stream_id, Response(431))
        except StreamFault as fault:
            return self._reset(stream_id, fault.code)
        length = request.headers.get("content-length", "")
        stream.announced = int(length) if length.isascii() and length.isdigit() else None
        outcome = self._guarded(lambda: self._handler(request))
        if isinstance(outcome, Response):
            return self._respond(stream_id, outcome)
        stream.upload = outcome
        if stream.ended:
            return self._end_body(stream_id, stream)
        return None

    def _guarded(self, call: Callable[[], T]) -> T | Response:
        """A handler must answer errors itself; what it lets through is a bug of ours and ends as 400, as clients expect."""
        try:
            return call()
        except Exception:
            log.exception("request handler failed")
            return Response(400, b"internal error, see the log of the server")

    # --- answers ---

    def _respond(self, stream_id: int, response: Response) -> None:
        if response.delay_s > 0:
            self._delay(stream_id, response)
        else:
            self.answer(stream_id, response)

    def answer(self, stream_id: int, response: Response) -> None:
        """Send an answer now; a request that was cancelled meanwhile is passed over."""
        stream = self._streams.get(stream_id)
        body = response.body
        if stream is None:
            if isinstance(body, FileBody):
                body.file.close()
            return
        self._calm = min(CALM_BUDGET, self._calm + 1)
        empty = not isinstance(body, FileBody) and len(body) == 0
        flags = frames.END_HEADERS | (frames.END_STREAM if empty else 0)
        fields = _fields_of(response, formatdate(int(self._now()), usegmt=True))
        block, self._before_fields = self._before_fields + encode_fields(fields), b""
        self._queue(frames.frame(frames.HEADERS, flags, stream_id, block))
        if empty:
            self._answer_sent(stream_id)
        else:
            self.outbox.add(stream_id, body, stream.send_window)

    def _answer_sent(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        stream.answered = True
        self._forget_if_done(stream_id, stream)

    def _answer_failed(self, stream_id: int) -> None:
        self._reset(stream_id, ErrorCode.INTERNAL_ERROR)

    def _forget_if_done(self, stream_id: int, stream: _Stream) -> None:
        if stream.ended and stream.answered:
            self._streams.pop(stream_id, None)

    def _reset(self, stream_id: int, code: ErrorCode) -> None:
        self._queue(frames.reset_frame(stream_id, code))
        self._drop_stream(stream_id)

    def _drop_stream(self, stream_id: int) -> None:
        self.outbox.drop(stream_id)
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._abort_upload(stream)

    @staticmethod
    def _abort_upload(stream: _Stream) -> None:
        upload, stream.upload = stream.upload, None
        if upload is not None:
            try:
                upload.abort()
            except Exception:
                log.exception("abort of an upload failed")

    # --- connection matters ---

    def _on_window_update(self, stream_id: int, payload: memoryview) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE length")
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        if self._is_idle(stream_id) or (increment == 0 and stream_id == 0):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE")
        if stream_id == 0:
            if not self.outbox.connection_window.grant(increment):
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window")
            return
        stream = self._streams.get(stream_id)
        if stream is not None and (increment == 0 or not stream.send_window.grant(increment)):
            self._reset(stream_id, ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR)

    def _on_settings(self, flags: int, stream_id: int, payload: memoryview) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if len(payload):
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with content")
            return
        for name, value in frames.parse_settings(payload):
            self._apply_setting(name, value)
        self._settings_seen = True
        self._queue(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _apply_setting(self, name: int, value: int) -> None:
        if name == frames.SETTING_MAX_FRAME_SIZE:
            self.outbox.frame_bytes = min(value, frames.MAX_FRAME_BYTES)
        elif name == frames.SETTING_HEADER_TABLE_SIZE:
            self._before_fields = EMPTY_TABLE
        elif name == frames.SETTING_INITIAL_WINDOW_SIZE:
            change, self._peer_window = value - self._peer_window, value
            for stream in self._streams.values():
                if not stream.send_window.grant(change):
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window size")

    def _on_reset(self, stream_id: int, payload: memoryview) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM length")
        if stream_id == 0 or self._is_idle(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"RST_STREAM on stream {stream_id}")
        self._stay_calm()
        self._drop_stream(stream_id)

    def _on_ping(self, flags: int, stream_id: int, payload: memoryview) -> None:
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING length")
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if not flags & frames.ACK:
            self._queue(frames.frame(frames.PING, frames.ACK, 0, bytes(payload)))

    def _is_idle(self, stream_id: int) -> bool:
        return (stream_id % 2 == 0 and stream_id != 0) or stream_id > self.last_stream_id

    def _stay_calm(self) -> None:
        self._calm -= 1
        if self._calm < 0:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many requests without effect")


def _fields_of(response: Response, date: str) -> tuple[tuple[str, str], ...]:
    fields = [(":status", str(response.status))]
    if response.content_type is not None:
        fields.append(("content-type", response.content_type))
    body = response.body
    if isinstance(body, FileBody) and body.with_length:
        fields.append(("content-length", str(body.size)))
    elif not isinstance(body, FileBody) and len(body):
        fields.append(("content-length", str(len(body))))
    fields.append(("date", date))
    return (*fields, *response.headers)
