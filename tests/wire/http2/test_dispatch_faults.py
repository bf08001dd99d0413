"""What a peer may not do: each breach has the error of RFC 9113, floods end, and nothing is done twice."""

from __future__ import annotations

import hyperframe.frame as hf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.http2_peer import GET, POST, Peer, data, only
from platevault.wire.http2 import frames
from platevault.wire.http2.dispatch import CALM_BUDGET, MAX_STREAMS, WINDOW_BYTES
from platevault.wire.http2.frames import ConnectionFault, ErrorCode
from platevault.wire.http2.message import Response


def fault(peer: Peer, *sent: hf.Frame | bytes) -> ErrorCode:
    """The code with which the connection ends."""
    with pytest.raises(ConnectionFault) as caught:
        peer.send(*sent)
    code = caught.value.code
    assert isinstance(code, ErrorCode)
    return code


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frames.frame(kind, flags, stream, payload)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (raw(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.DATA, 0, 2, b"x"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS, 0), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS, 2), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\x04abc"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS | frames.PRIORITY_FLAG, 1, b"abcd"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
        (raw(frames.CONTINUATION, frames.END_HEADERS, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.SETTINGS, 0, 0, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
        (raw(frames.SETTINGS, frames.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(frames.SETTINGS, 0, 0, bytes.fromhex("0004ffffffff")), ErrorCode.FLOW_CONTROL_ERROR),
        (raw(frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.WINDOW_UPDATE, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.WINDOW_UPDATE, 0, 0, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), ErrorCode.FLOW_CONTROL_ERROR),
        (raw(frames.RST_STREAM, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.RST_STREAM, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (raw(frames.RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(frames.PUSH_PROMISE, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_a_breach_ends_the_connection_with_its_code(frame: bytes, code: ErrorCode) -> None:
    assert fault(Peer(), frame) is code


def test_settings_must_come_first() -> None:
    peer = Peer(greet=False)
    assert fault(peer, hf.PingFrame(0, bytes(8))) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("between", [raw(frames.PING, 0, 0, bytes(8)), raw(frames.DATA, 0, 1), raw(frames.CONTINUATION, 0, 3, b"x")])
def test_a_header_block_is_not_interrupted(between: bytes) -> None:
    peer = Peer()
    peer.send(hf.HeadersFrame(1, peer.block(GET)[:4]))
    assert fault(peer, between) is ErrorCode.PROTOCOL_ERROR


def test_a_stream_number_is_used_once_and_never_goes_back() -> None:
    peer = Peer()
    peer.send(peer.headers(5, end=True))
    peer.receive()
    assert fault(peer, peer.headers(5, end=True)) is ErrorCode.STREAM_CLOSED
    peer = Peer()
    peer.send(peer.headers(5, end=True))
    assert fault(peer, peer.headers(3, end=True)) is ErrorCode.STREAM_CLOSED


def test_trailers_that_do_not_end_the_stream_reset_it() -> None:
    peer = Peer()
    peer.send(peer.headers(1), data(1, b"abc"), peer.headers(1, [("x", "1")]))
    (reset,) = only(peer.receive(), hf.RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (1, 1)
    assert peer.bodies[0].aborted
    assert not peer.bodies[0].ended


@pytest.mark.parametrize("fields", [GET[:2], (*GET, ("Upper", "x")), (*GET, ("connection", "close")), (*GET, ("content-length", "4"))])
def test_a_malformed_request_is_reset_and_never_reaches_a_handler(fields: tuple[tuple[str, str], ...]) -> None:
    peer = Peer()
    peer.send(peer.headers(1, fields, end=True), peer.headers(3, end=True))
    sent = peer.receive()
    assert [(frame.stream_id, frame.error_code) for frame in only(sent, hf.RstStreamFrame)] == [(1, 1)]
    assert [body.request.method for body in peer.bodies] == ["POST"]


def test_data_behind_the_end_of_a_body_resets_the_stream() -> None:
    peer = Peer(lambda _: Response(200, b"x", delay_s=9))
    peer.send(peer.headers(1, end=True), data(1, b"late"))
    assert [frame.error_code for frame in only(peer.receive(), hf.RstStreamFrame)] == [5]


@pytest.mark.parametrize("update", [0, frames.MAX_WINDOW])
def test_an_impossible_window_update_resets_its_stream_only(update: int) -> None:
    peer = Peer()
    peer.send(peer.headers(1), raw(frames.WINDOW_UPDATE, 0, 1, update.to_bytes(4, "big")), peer.headers(3, end=True))
    sent = peer.receive()
    assert [(frame.stream_id, frame.error_code) for frame in only(sent, hf.RstStreamFrame)] == [(1, 3 if update else 1)]
    assert 3 in [frame.stream_id for frame in only(sent, hf.HeadersFrame)]


def test_a_window_that_overflows_by_settings_ends_the_connection() -> None:
    peer = Peer()
    peer.send(peer.headers(1), hf.WindowUpdateFrame(1, frames.MAX_WINDOW - 65535))
    assert fault(peer, hf.SettingsFrame(0, {4: 65536})) is ErrorCode.FLOW_CONTROL_ERROR


def test_more_data_than_granted_ends_the_connection() -> None:
    """Windows come back as bytes are consumed, so an honest scanner cannot break them; here frames begin and never end."""
    peer = Peer()
    peer.send(peer.headers(1))
    for _ in range(WINDOW_BYTES // frames.MAX_FRAME_BYTES):
        peer.dispatcher.data_begins(1, frames.MAX_FRAME_BYTES)
    with pytest.raises(ConnectionFault) as caught:
        peer.dispatcher.data_begins(1, 1)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_requests_that_are_cancelled_at_once_are_tolerated_up_to_a_budget() -> None:
    peer = Peer()
    for number in range(CALM_BUDGET):
        peer.send(peer.headers(2 * number + 1, GET), hf.RstStreamFrame(2 * number + 1, 8))
    number = CALM_BUDGET
    assert fault(peer, peer.headers(2 * number + 1, GET), hf.RstStreamFrame(2 * number + 1, 8)) is ErrorCode.ENHANCE_YOUR_CALM


def test_cancelled_requests_among_answered_ones_never_end_a_connection() -> None:
    peer = Peer()
    for number in range(10 * CALM_BUDGET):
        stream = 4 * number + 1
        peer.send(peer.headers(stream, GET), hf.RstStreamFrame(stream, 8), peer.headers(stream + 2, GET, end=True))
        assert peer.statuses() == {stream + 2: 200}


def test_refused_streams_are_tolerated_up_to_a_budget() -> None:
    peer = Peer()
    peer.send(*(peer.headers(2 * number + 1) for number in range(MAX_STREAMS)))
    flood = [peer.headers(2 * (MAX_STREAMS + number) + 1) for number in range(CALM_BUDGET + 1)]
    assert fault(peer, *flood) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("frame", [data(1), data(3, b"x")], ids=["empty frames", "frames of a closed stream"])
def test_frames_without_effect_are_tolerated_up_to_a_budget(frame: hf.Frame) -> None:
    peer = Peer()
    peer.send(peer.headers(1), peer.headers(3, end=True))
    peer.receive()
    peer.send(*[frame] * CALM_BUDGET)
    assert fault(peer, frame) is ErrorCode.ENHANCE_YOUR_CALM


def test_an_endless_header_block_ends_the_connection_early() -> None:
    peer = Peer()
    peer.send(hf.HeadersFrame(1, peer.block(POST)))
    code = fault(peer, *[hf.ContinuationFrame(1, bytes(16384)) for _ in range(17)])
    assert code is ErrorCode.ENHANCE_YOUR_CALM
    peer = Peer()
    peer.send(hf.HeadersFrame(1, peer.block(POST)))
    assert fault(peer, hf.ContinuationFrame(1, b"")) is ErrorCode.ENHANCE_YOUR_CALM


@settings(max_examples=300)
@given(
    st.lists(
        st.builds(
            raw,
            st.integers(0, 9),
            st.integers(0, 255),
            st.integers(0, 7),
            st.binary(max_size=12) | st.sampled_from([bytes(4), bytes(8), b"\x82\x87\x84"]),
        ),
        max_size=25,
    )
)
def test_any_frames_raise_nothing_but_a_connection_fault_and_uploads_end_once(sent: list[bytes]) -> None:
    peer = Peer()
    code = None
    try:
        for frame in sent:
            peer.send(frame)
    except ConnectionFault as broken:
        code = broken.code
    peer.dispatcher.close()
    assert code is None or isinstance(code, ErrorCode)
    assert all(body.ended != body.aborted for body in peer.bodies)
    assert len(peer.dispatcher.outbox) == 0
