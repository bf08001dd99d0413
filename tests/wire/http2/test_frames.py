"""The frame scanner: whatever the pieces in which bytes arrive, the same frames come out."""

from __future__ import annotations

from typing import Any

import hyperframe.frame as hf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.wire.http2 import frames
from platevault.wire.http2.frames import ConnectionFault, ErrorCode, FrameScanner


class Recorder:
    """Joins the pieces of a DATA frame, so that records do not depend on the split."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self._open: tuple[int, int, bytearray] | None = None

    def data_begins(self, stream_id: int, frame_bytes: int) -> None:
        assert self._open is None
        self._open = (stream_id, frame_bytes, bytearray())

    def data_piece(self, stream_id: int, piece: memoryview) -> None:
        assert self._open is not None
        assert self._open[0] == stream_id
        self._open[2].extend(piece)

    def data_ends(self, stream_id: int, frame_bytes: int, *, end_stream: bool) -> None:
        assert self._open is not None
        assert self._open[:2] == (stream_id, frame_bytes)
        self.seen.append((frames.DATA, stream_id, frame_bytes, bytes(self._open[2]), end_stream))
        self._open = None

    def control(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        assert self._open is None
        self.seen.append((kind, flags, stream_id, bytes(payload)))


def scan_in_pieces(raw: bytes, cuts: list[int]) -> Recorder:
    """Feed `raw` as a connection does: what is not consumed comes again with the next piece behind it."""
    recorder = Recorder()
    scanner, rest = FrameScanner(recorder), b""
    ends = [*sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in zip([0, *ends], ends, strict=False):
        rest += raw[start:end]
        rest = rest[scanner.scan(memoryview(rest)) :]
    assert rest == b""
    return recorder


def _data(stream_id: int, content: bytes, padding: int | None, end_stream: bool) -> hf.Frame:
    frame = hf.DataFrame(stream_id, content)
    if padding is not None:
        frame.flags.add("PADDED")
        frame.pad_length = padding
    if end_stream:
        frame.flags.add("END_STREAM")
    return frame


STREAMS = st.integers(1, frames.MAX_WINDOW)
FRAMES = st.one_of(
    st.builds(_data, STREAMS, st.binary(max_size=40), st.none() | st.integers(0, 20), st.booleans()),
    st.builds(lambda data: hf.PingFrame(0, data), st.binary(min_size=8, max_size=8)),
    st.builds(lambda stream, data: hf.HeadersFrame(stream, data, flags=["END_HEADERS"]), STREAMS, st.binary(max_size=30)),
    st.builds(lambda stream, data: hf.ContinuationFrame(stream, data, flags=["END_HEADERS"]), STREAMS, st.binary(max_size=30)),
    st.builds(lambda stream, by: hf.WindowUpdateFrame(stream, by), STREAMS, st.integers(1, frames.MAX_WINDOW)),
    st.builds(lambda value: hf.SettingsFrame(0, {4: value}), st.integers(0, frames.MAX_WINDOW)),
    st.builds(lambda stream: hf.RstStreamFrame(stream, 8), STREAMS),
    st.builds(lambda stream: hf.PriorityFrame(stream, depends_on=0, stream_weight=7), STREAMS),
)
UNKNOWN = st.builds(lambda kind, data: frames.frame(kind, 0xFF, 1, data), st.integers(10, 255), st.binary(max_size=30))


def expected(frame: hf.Frame) -> tuple[Any, ...]:
    raw = frame.serialize()
    if isinstance(frame, hf.DataFrame):
        return (frames.DATA, frame.stream_id, len(raw) - 9, bytes(frame.data), "END_STREAM" in frame.flags)
    return (raw[3], raw[4], frame.stream_id, raw[9:])


@given(listed=st.lists(FRAMES | UNKNOWN, max_size=12), cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_any_split_gives_the_frames_of_an_independent_encoder(listed: list[hf.Frame | bytes], cuts: list[int]) -> None:
    raw = b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in listed)
    wanted = [expected(frame) for frame in listed if not isinstance(frame, bytes)]
    assert scan_in_pieces(raw, cuts).seen == wanted
    assert scan_in_pieces(raw, list(range(len(raw)))).seen == wanted


@given(raw=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=10))
def test_any_bytes_raise_nothing_but_a_connection_fault(raw: bytes, cuts: list[int]) -> None:
    scanner, rest, start = FrameScanner(Recorder()), b"", 0
    for end in [*sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]:
        rest += raw[start:end]
        start = end
        try:
            rest = rest[scanner.scan(memoryview(rest)) :]
        except ConnectionFault:
            return
        assert len(rest) <= frames.MAX_CONTROL_BYTES + 9


def test_data_is_handed_on_before_its_frame_is_complete() -> None:
    recorder = Recorder()
    raw = memoryview(frames.frame_header(1000, frames.DATA, 0, 1) + b"abc")
    assert FrameScanner(recorder).scan(raw) == len(raw)
    assert recorder.seen == []
    assert recorder._open is not None
    assert recorder._open[2] == b"abc"


@pytest.mark.parametrize("flags", [0, frames.END_STREAM])
def test_an_empty_data_frame_begins_and_ends_at_once(flags: int) -> None:
    recorder = Recorder()
    assert FrameScanner(recorder).scan(memoryview(frames.frame(frames.DATA, flags, 5))) == 9
    assert recorder.seen == [(frames.DATA, 5, 0, b"", bool(flags))]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frames.frame_header(frames.MAX_FRAME_BYTES + 1, frames.DATA, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame_header(frames.MAX_FRAME_BYTES + 1, 0x77, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame_header(frames.MAX_CONTROL_BYTES + 1, frames.HEADERS, 0, 1), ErrorCode.ENHANCE_YOUR_CALM),
        (frames.frame(frames.DATA, frames.PADDED, 1), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.DATA, frames.PADDED, 1, b"\x03abc"[:3]), ErrorCode.PROTOCOL_ERROR),
    ],
    ids=["data too large", "unknown too large", "control too large", "padding without length", "padding longer than the frame"],
)
def test_illegal_frames_are_refused_at_their_header(raw: bytes, code: ErrorCode) -> None:
    with pytest.raises(ConnectionFault) as caught:
        FrameScanner(Recorder()).scan(memoryview(raw))
    assert caught.value.code is code


def test_a_data_frame_that_is_all_padding_is_empty() -> None:
    recorder = Recorder()
    FrameScanner(recorder).scan(memoryview(frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x03\0\0\0")))
    assert recorder.seen == [(frames.DATA, 1, 4, b"", True)]


def test_the_largest_data_frame_passes() -> None:
    recorder = Recorder()
    content = bytes(frames.MAX_FRAME_BYTES)
    FrameScanner(recorder).scan(memoryview(frames.frame(frames.DATA, 0, 1, content)))
    assert recorder.seen == [(frames.DATA, 1, frames.MAX_FRAME_BYTES, content, False)]


def test_the_reserved_bit_of_a_stream_number_is_ignored() -> None:
    recorder = Recorder()
    FrameScanner(recorder).scan(memoryview(frames.frame(frames.PING, 0, 0x80000000, bytes(8))))
    assert recorder.seen == [(frames.PING, 0, 0, bytes(8))]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"12345", ErrorCode.FRAME_SIZE_ERROR),
        (bytes.fromhex("000480000000"), ErrorCode.FLOW_CONTROL_ERROR),
        (bytes.fromhex("000500003fff"), ErrorCode.PROTOCOL_ERROR),
        (bytes.fromhex("000501000000"), ErrorCode.PROTOCOL_ERROR),
        (bytes.fromhex("000200000002"), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_range(payload: bytes, code: ErrorCode) -> None:
    with pytest.raises(ConnectionFault) as caught:
        frames.parse_settings(memoryview(payload))
    assert caught.value.code is code


@given(st.dictionaries(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), max_size=20))
def test_settings_come_back(pairs: dict[int, int]) -> None:
    raw = frames.settings_frame(pairs)
    parsed, length = hf.Frame.parse_frame_header(memoryview(raw[:9]))
    assert length == 6 * len(pairs)
    assert isinstance(parsed, hf.SettingsFrame)
    legal = {name: value for name, value in pairs.items() if name not in (2, 4, 5)}
    assert frames.parse_settings(memoryview(frames.settings_frame(legal))[9:]) == list(legal.items())


def test_made_frames_are_what_an_independent_decoder_reads() -> None:
    goaway, _ = hf.Frame.parse_frame_header(memoryview(frames.goaway_frame(7, 11)[:9]))
    assert isinstance(goaway, hf.GoAwayFrame)
    goaway.parse_body(memoryview(frames.goaway_frame(7, 11)[9:]))
    assert (goaway.last_stream_id, goaway.error_code) == (7, 11)
    assert frames.reset_frame(3, 8) == hf.RstStreamFrame(3, 8).serialize()
    assert frames.window_update(9, 77) == hf.WindowUpdateFrame(9, 77).serialize()
