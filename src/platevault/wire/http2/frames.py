"""HTTP/2 frames: layout, types, error codes, and a scanner that cuts a byte stream into frames.

Source: RFC 9113 §4, §6, §7; limits from spec wire-protocol §2.8. No I/O.
Frame header, 9 bytes: length (24 bit), type, flags, stream id (31 bit). DATA payload is handed on in pieces as it arrives, without
a copy; every other known frame is handed on whole; unknown types are passed over.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Protocol

from platevault.errors import Invalid

HEADER = struct.Struct(">HBBBL")
HEADER_BYTES = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65535
DEFAULT_FRAME_BYTES = 16384
MAX_FRAME_BYTES = 4 * 1024 * 1024  # advertised by both sides; measured as the cheapest
MAX_CONTROL_BYTES = 64 * 1024  # no honest control frame comes near; bounds what is collected before it is understood

SETTING_HEADER_TABLE_SIZE = 1
SETTING_ENABLE_PUSH = 2
SETTING_MAX_CONCURRENT_STREAMS = 3
SETTING_INITIAL_WINDOW_SIZE = 4
SETTING_MAX_FRAME_SIZE = 5
SETTING_MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """RFC 9113 §7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Invalid):
    """The peer broke the protocol; the connection ends with GOAWAY. Fact `code`: an ErrorCode."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"HTTP/2 {code.name}: {reason}", code=code)


class StreamFault(Invalid):
    """One request is malformed; its stream is reset. Facts `stream_id`, `code`."""

    def __init__(self, stream_id: int, code: ErrorCode, reason: str) -> None:
        super().__init__(f"HTTP/2 stream {stream_id} {code.name}: {reason}", stream_id=stream_id, code=code)


def frame_header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The 9 bytes in front of a payload of `length` bytes."""
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return frame_header(len(payload), kind, flags, stream_id) + payload


def settings_frame(settings: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *item) for item in settings.items()))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">L", increment))


def reset_frame(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, struct.pack(">L", code))


def goaway_frame(last_stream_id: int, code: int) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last_stream_id, code))


def parse_settings(payload: memoryview) -> list[tuple[int, int]]:
    """Pairs of identifier and value, checked as RFC 9113 §6.5.2 demands."""
    if len(payload) % 6:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS length")
    pairs = list(struct.iter_unpack(">HL", payload))
    for name, value in pairs:
        if name == SETTING_INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window size")
        if name == SETTING_MAX_FRAME_SIZE and not DEFAULT_FRAME_BYTES <= value < 2**24:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "maximum frame size")
        if name == SETTING_ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "enable push")
    return pairs


class FrameSink(Protocol):
    """Receives what a FrameScanner finds."""

    def data_begins(self, stream_id: int, frame_bytes: int) -> None:
        """A DATA frame was announced; `frame_bytes` counts against the windows, padding included."""

    def data_piece(self, stream_id: int, piece: memoryview) -> None: ...

    def data_ends(self, stream_id: int, frame_bytes: int, *, end_stream: bool) -> None: ...

    def control(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None: ...


class FrameScanner:
    """Cuts a stream into frames. Keeps no bytes: what `scan` does not consume must be given again with more behind it."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._stream_id = 0
        self._frame_bytes = 0
        self._content = 0  # payload bytes of the current DATA frame that are still to come
        self._padding = 0  # bytes to pass over after it, or the rest of an unknown frame
        self._in_data = False
        self._end_stream = False

    def scan(self, view: memoryview) -> int:
        """Hand on all that is complete in `view`; returns the number of bytes consumed. Raises ConnectionFault."""
        position, size = 0, len(view)
        while position < size:
            if self._content or self._padding or self._in_data:
                position = self._payload(view, position)
                continue
            step = self._frame_start(view, position)
            if step == 0:
                break
            position += step
        if self._in_data and not self._content and not self._padding:
            self._finish_data()
        return position

    def _payload(self, view: memoryview, position: int) -> int:
        if self._content:
            end = min(len(view), position + self._content)
            self._content -= end - position
            self._sink.data_piece(self._stream_id, view[position:end])
            position = end
        passed = min(len(view) - position, self._padding)
        self._padding -= passed
        if self._in_data and not self._content and not self._padding:
            self._finish_data()
        return position + passed

    def _finish_data(self) -> None:
        self._in_data = False
        self._sink.data_ends(self._stream_id, self._frame_bytes, end_stream=self._end_stream)

    def _frame_start(self, view: memoryview, position: int) -> int:
        """Bytes consumed of one frame: all of a control frame, the header of a DATA frame; 0 when more is needed."""
        if len(view) - position < HEADER_BYTES:
            return 0
        high, low, kind, flags, stream_id = HEADER.unpack_from(view, position)
        length, stream_id = (high << 8) | low, stream_id & MAX_WINDOW
        if length > MAX_FRAME_BYTES:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes")
        if kind == DATA:
            return self._data_start(view, position, length, flags, stream_id)
        if kind > CONTINUATION:
            self._padding = length
            return HEADER_BYTES
        if length > MAX_CONTROL_BYTES:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"control frame of {length} bytes")
        start = position + HEADER_BYTES
        if len(view) - start < length:
            return 0
        self._sink.control(kind, flags, stream_id, view[start : start + length])
        return HEADER_BYTES + int(length)

    def _data_start(self, view: memoryview, position: int, length: int, flags: int, stream_id: int) -> int:
        padding, taken = 0, HEADER_BYTES
        if flags & PADDED:
            if length and len(view) - position <= HEADER_BYTES:
                return 0
            if not length or view[position + HEADER_BYTES] >= length:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
            padding, taken = int(view[position + HEADER_BYTES]), HEADER_BYTES + 1
        self._sink.data_begins(stream_id, length)
        self._stream_id, self._frame_bytes = stream_id, length
        self._content, self._padding = length - padding - (taken - HEADER_BYTES), padding
        self._in_data, self._end_stream = True, bool(flags & END_STREAM)
        return taken
