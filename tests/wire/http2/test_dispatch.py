"""Requests and answers of one server connection, frame by frame."""

from __future__ import annotations

import io

import hyperframe.frame as hf
import pytest

from kit.http2_peer import GET, POST, Body, Peer, data, only
from platevault.wire.http2.dispatch import MAX_STREAMS, WINDOW_BYTES
from platevault.wire.http2.message import FileBody, Request, Response

CHUNK = 4 * 1024 * 1024


def test_the_first_frames_are_those_of_the_reference_server() -> None:
    peer = Peer(greet=False)
    peer.dispatcher.open()
    settings, update = peer.receive()
    assert isinstance(settings, hf.SettingsFrame)
    assert settings.settings == {3: 200, 4: 33554432, 5: 4194304, 6: 16384}
    assert isinstance(update, hf.WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (0, 33488897)


def test_a_body_arrives_as_it_was_sent_and_is_answered() -> None:
    peer = Peer()
    peer.send(peer.headers(1), data(1, b"abc", padding=7), data(1, b"def", end=True))
    answer, content = peer.receive()
    assert isinstance(content, hf.DataFrame)
    assert (peer.status(answer), content.data) == (200, b"got 6")
    assert "END_STREAM" in content.flags
    assert bytes(peer.bodies[0].data) == b"abcdef"


@pytest.mark.parametrize("end_first", [True, False], ids=["headers end it", "an empty frame ends it"])
def test_a_request_without_a_body(end_first: bool) -> None:
    peer = Peer()
    frames = [peer.headers(1, end=True)] if end_first else [peer.headers(1), data(1, end=True)]
    peer.send(*frames)
    assert peer.statuses() == {1: 200}
    assert peer.bodies[0].request.accepts_body is not end_first


def test_bodies_of_many_streams_interleave() -> None:
    peer = Peer()
    streams = range(1, 2 * MAX_STREAMS, 2)
    peer.send(*(peer.headers(stream) for stream in streams))
    for piece in (b"a", b"b", b"c"):
        peer.send(*(data(stream, piece * stream) for stream in streams))
    peer.send(*(data(stream, end=True) for stream in reversed(streams)))
    assert peer.statuses() == dict.fromkeys(streams, 200)
    assert [len(body.data) for body in peer.bodies] == [3 * stream for stream in streams]


def test_one_stream_more_than_allowed_is_refused_and_the_next_free_one_is_not() -> None:
    peer = Peer()
    last = 2 * MAX_STREAMS + 1
    peer.send(*(peer.headers(stream) for stream in range(1, last + 1, 2)))
    (reset,) = only(peer.receive(), hf.RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (last, 7)
    peer.send(data(1, end=True))
    assert peer.statuses() == {1: 200}
    peer.send(peer.headers(last + 2, end=True))
    assert peer.statuses() == {last + 2: 200}


def test_a_header_block_may_come_in_pieces() -> None:
    peer = Peer()
    block = peer.block(GET)
    peer.send(
        hf.HeadersFrame(1, block[:3], flags=["END_STREAM"]),
        hf.ContinuationFrame(1, block[3:9]),
        hf.ContinuationFrame(1, block[9:], flags=["END_HEADERS"]),
    )
    assert peer.statuses() == {1: 200}
    assert peer.bodies[0].request.query == "x=1"


def test_headers_with_padding_and_priority() -> None:
    peer = Peer()
    frame = hf.HeadersFrame(1, peer.block(GET), flags=["END_HEADERS", "END_STREAM", "PADDED", "PRIORITY"])
    frame.pad_length, frame.depends_on, frame.stream_weight = 9, 0, 3
    peer.send(hf.PriorityFrame(1, depends_on=0), frame)
    assert peer.statuses() == {1: 200}


def test_trailers_end_a_body() -> None:
    peer = Peer()
    peer.send(peer.headers(1), data(1, b"abc"), peer.headers(1, [("x-trailer", "1")], end=True))
    assert peer.statuses() == {1: 200}
    assert bytes(peer.bodies[0].data) == b"abc"


def test_a_header_list_beyond_the_limit_is_answered_431_and_the_connection_goes_on() -> None:
    peer = Peer()
    peer.send(peer.headers(1, [*POST, ("x", "y" * 16384)], end=True), peer.headers(3, end=True))
    assert peer.statuses() == {1: 431, 3: 200}


def test_an_answer_may_come_before_the_end_of_the_body_and_the_rest_is_thrown_away() -> None:
    uploads: list[Body] = []

    def answer_early(request: Request) -> Body:
        uploads.append(Body(request, early=3))
        return uploads[-1]

    peer = Peer(answer_early)
    peer.send(peer.headers(1), data(1, b"abcd"))
    assert peer.statuses() == {1: 400}
    peer.send(data(1, b"rest"), data(1, end=True))
    assert peer.receive() == []
    assert bytes(uploads[0].data) == b"abcd"
    assert (uploads[0].ended, uploads[0].aborted) == (False, False)


def test_an_immediate_answer_needs_no_body() -> None:
    peer = Peer(lambda _: Response(404, b"no such path"))
    peer.send(peer.headers(1), data(1, b"ignored", end=True), peer.headers(3, end=True))
    assert peer.statuses() == {1: 404, 3: 404}


@pytest.mark.parametrize(("announced", "reset"), [("6", False), ("5", True), ("7", True)])
def test_the_announced_length_must_be_the_real_one(announced: str, reset: bool) -> None:
    peer = Peer()
    peer.send(peer.headers(1, [*POST, ("content-length", announced)]), data(1, b"abcdef", end=True))
    frames = peer.receive()
    assert [frame.error_code for frame in only(frames, hf.RstStreamFrame)] == ([1] if reset else [])
    assert peer.bodies[0].aborted is reset
    assert peer.bodies[0].ended is not reset


def test_a_request_that_is_cancelled_aborts_its_upload() -> None:
    peer = Peer()
    peer.send(peer.headers(1), data(1, b"abc"), hf.RstStreamFrame(1, 8))
    assert peer.bodies[0].aborted
    assert peer.receive() == []


def test_a_handler_that_fails_costs_its_request_only() -> None:
    class Broken(Body):
        def finish(self) -> Response:
            raise RuntimeError("bug")

    peer = Peer(lambda request: Broken(request))
    peer.send(peer.headers(1, end=True), peer.headers(3), data(3, b"x", end=True))
    assert peer.statuses() == {1: 400, 3: 400}


def test_an_answer_that_must_wait_stops_no_other_one() -> None:
    peer = Peer(lambda request: Response(401, b"no", delay_s=3) if request.method == "GET" else Response(200, b"yes"))
    peer.send(peer.headers(1, GET, end=True), peer.headers(3, POST, end=True))
    assert peer.statuses() == {3: 200}
    ((stream, response),) = peer.delayed
    peer.dispatcher.answer(stream, response)
    assert peer.statuses() == {1: 401}


def test_a_file_of_a_request_cancelled_meanwhile_is_closed() -> None:
    file = io.BytesIO(b"content")
    peer = Peer(lambda _: Response(200, FileBody(file, 7), delay_s=3))
    peer.send(peer.headers(1, end=True), hf.RstStreamFrame(1, 8))
    peer.dispatcher.answer(*peer.delayed[0])
    assert file.closed
    assert peer.receive() == []


def test_windows_are_given_back_while_a_body_arrives_also_for_unread_bodies() -> None:
    peer = Peer(lambda _: Response(400, b"not wanted"))
    peer.send(peer.headers(1))
    piece = bytes(1024 * 1024)
    for _ in range(4 * WINDOW_BYTES // len(piece)):
        peer.send(data(1, piece))
    granted = {0: 0, 1: 0}
    for update in only(peer.receive(), hf.WindowUpdateFrame):
        granted[update.stream_id] += update.window_increment
    assert min(granted.values()) >= 3 * WINDOW_BYTES


def test_an_answer_waits_for_the_windows_of_the_peer() -> None:
    peer = Peer(lambda _: Response(200, bytes(100_000)))
    peer.send(peer.headers(1, end=True))
    assert sum(len(frame.data) for frame in only(peer.receive(), hf.DataFrame)) == 65535
    peer.send(hf.WindowUpdateFrame(1, 100_000))
    assert only(peer.receive(), hf.DataFrame) == []
    peer.send(hf.WindowUpdateFrame(0, 100_000))
    assert sum(len(frame.data) for frame in only(peer.receive(), hf.DataFrame)) == 100_000 - 65535


def test_a_new_initial_window_counts_for_open_streams() -> None:
    peer = Peer(lambda _: Response(200, bytes(CHUNK)))
    peer.send(hf.SettingsFrame(0, {4: 10, 5: 4194304}), peer.headers(1, end=True))
    assert sum(len(frame.data) for frame in only(peer.receive(), hf.DataFrame)) == 10
    peer.send(hf.SettingsFrame(0, {4: 2147483646}), hf.WindowUpdateFrame(0, 2147418111))
    sent = only(peer.receive(), hf.DataFrame)
    assert sum(len(frame.data) for frame in sent) == CHUNK - 10
    assert max(len(frame.data) for frame in sent) > 16384


def test_pings_and_settings_are_answered() -> None:
    peer = Peer()
    peer.send(hf.PingFrame(0, b"12345678"), hf.PingFrame(0, b"ackn----", flags=["ACK"]), hf.SettingsFrame(0, {4: 70000}))
    ping, settings = peer.receive()
    assert isinstance(ping, hf.PingFrame)
    assert (ping.opaque_data, set(ping.flags)) == (b"12345678", {"ACK"})
    assert isinstance(settings, hf.SettingsFrame)
    assert set(settings.flags) == {"ACK"}


def test_after_goaway_running_requests_end_and_then_the_connection_is_finished() -> None:
    peer = Peer()
    peer.send(peer.headers(1), hf.GoAwayFrame(0, 0))
    assert not peer.dispatcher.is_finished()
    peer.send(data(1, b"x", end=True))
    assert peer.statuses() == {1: 200}
    assert peer.dispatcher.is_finished()


def test_close_aborts_what_is_arriving_and_closes_what_was_to_be_sent() -> None:
    file = io.BytesIO(bytes(CHUNK))
    uploads: list[Body] = []

    def answer(request: Request) -> Body | Response:
        if request.method == "GET":
            return Response(200, FileBody(file, CHUNK))
        uploads.append(Body(request))
        return uploads[0]

    peer = Peer(answer)
    peer.send(peer.headers(1, GET, end=True), peer.headers(3), data(3, b"half"))
    peer.dispatcher.close()
    assert uploads[0].aborted
    assert file.closed
