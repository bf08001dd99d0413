"""Our client over real TLS against a server that we did not write, honest and otherwise."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kit.h2_server import Asked, H2Server
from kit.tls_pair import TIMEOUT_S, TlsPairs
from platevault.wire.http2 import frames
from platevault.wire.http2.call import Answer, BrokenAnswer, ConnectionLost
from platevault.wire.http2.client import ClientConnection

BODY = bytes(range(256)) * 20_000
OnRequest = Callable[[H2Server, Asked], None]
Start = Callable[..., tuple[ClientConnection, H2Server]]


def echo(server: H2Server, asked: Asked) -> None:
    server.respond(asked.stream, 200, bytes(asked.body) or b"nothing")


def ignore(server: H2Server, asked: Asked) -> None:
    pass


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    pairs = TlsPairs(tmp_path)
    running: list[tuple[ClientConnection, H2Server]] = []

    def begin(on_end: OnRequest = echo, **options: Any) -> tuple[ClientConnection, H2Server]:
        link, sock = pairs.open(link_is_server=False)
        server = H2Server(sock, on_end, **options)
        running.append((ClientConnection(link), server))
        return running[-1]

    yield begin
    for client, server in running:
        client.close()
        server.join()


def done(pending: Future[Answer]) -> Answer:
    return pending.result(TIMEOUT_S)


def test_a_request_as_servers_expect_it(start: Start) -> None:
    client, server = start()
    answer = done(client.request("POST", "/blob", query={"b": 2, "a": "x/y"}, body=b"abc", content_type="application/octet-stream"))
    assert (answer.status, bytes(answer.body)) == (200, b"abc")
    (asked,) = server.asked.values()
    assert asked.headers == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "localhost:8007",
        ":path": "/blob?a=x%2Fy&b=2",
        "content-type": "application/octet-stream",
    }


def test_bodies_of_several_buffers_keep_to_the_windows_of_the_server(start: Start) -> None:
    """The oracle refuses any byte beyond a window of 65535 bytes."""
    client, _ = start(lambda server, asked: server.respond(asked.stream, 200, hashlib.sha256(asked.body).digest()))
    answer = done(client.request("POST", "/x", body=(b"head", b"", memoryview(BODY))))
    assert bytes(answer.body) == hashlib.sha256(b"head" + BODY).digest()


@pytest.mark.parametrize("frame_bytes", [16384, 4194304])
def test_frames_are_no_larger_than_the_server_takes(start: Start, frame_bytes: int) -> None:
    client, _ = start(settings={5: frame_bytes, 4: 2**31 - 1})
    assert done(client.request("POST", "/x", body=BODY)).body == BODY


def test_large_answers_arrive_whole_and_many_at_once(start: Start) -> None:
    client, _ = start(lambda server, asked: server.respond(asked.stream, 200, BODY * 2, content_length=str(len(BODY) * 2)))
    pending = [client.request("GET", "/chunk") for _ in range(3)]
    assert [done(one).body == BODY * 2 for one in pending] == [True] * 3


def test_requests_of_many_threads_get_their_own_answers(start: Start) -> None:
    client, server = start()
    with ThreadPoolExecutor(8) as pool:
        bodies = [str(number).encode() * number * 97 for number in range(1, 200)]
        answers = list(pool.map(lambda body: done(client.request("POST", "/x", body=body)), bodies))
    assert [bytes(answer.body) for answer in answers] == bodies
    assert len(server.asked) == len(bodies)


def test_no_more_requests_are_open_than_the_server_allows(start: Start) -> None:
    held: list[Asked] = []

    def answer_in_pairs(server: H2Server, asked: Asked) -> None:
        held.append(asked)
        if len(held) == 2:
            for one in reversed(held):
                server.respond(one.stream, 200, one.path.encode())
            held.clear()

    client, server = start(answer_in_pairs, settings={3: 2})
    done_first = [client.request("GET", f"/{number}") for number in range(2)]
    assert [bytes(done(one).body) for one in done_first] == [b"/0", b"/1"]
    with ThreadPoolExecutor(6) as pool:
        pending = [pool.submit(lambda: done(client.request("GET", "/more"))) for _ in range(6)]
        assert [one.result(TIMEOUT_S).status for one in pending] == [200] * 6
    assert server.most_open == 2


def test_an_early_refusal_stops_the_body_and_the_connection_goes_on(start: Start) -> None:
    def refuse(server: H2Server, asked: Asked) -> None:
        if asked.path == "/bad":
            server.gives_windows = False
            server.respond(asked.stream, 400, b"no")

    client, server = start(on_head=refuse)
    assert done(client.request("POST", "/bad", body=BODY)).status == 400
    assert done(client.request("GET", "/good")).body == b"nothing"
    bad = server.asked[1]
    assert (bad.ended, bad.reset) == (False, 0)
    assert len(bad.body) <= 65535


def test_interim_answers_and_trailers_are_passed_over(start: Start) -> None:
    def respond(server: H2Server, asked: Asked) -> None:
        server.connection.send_headers(asked.stream, [(":status", "103"), ("link", "x")])
        server.connection.send_headers(asked.stream, [(":status", "200"), ("x", "y")])
        server.connection.send_data(asked.stream, b"body")
        server.connection.send_headers(asked.stream, [("trailer", "z")], end_stream=True)

    answer = done(start(respond)[0].request("GET", "/"))
    assert (answer.status, answer.headers, answer.body) == (200, {"x": "y"}, b"body")


def test_pings_are_answered_and_long_header_blocks_are_read(start: Start) -> None:
    def respond(server: H2Server, asked: Asked) -> None:
        server.connection.ping(b"12345678")
        server.respond(asked.stream, 200, b"", filler="x" * 40_000)

    assert len(done(start(respond)[0].request("GET", "/")).headers["filler"]) == 40_000


# --- servers that fail or lie ---


def test_a_cancelled_request_fails_alone(start: Start) -> None:
    def reset(server: H2Server, asked: Asked) -> None:
        if asked.path == "/bad":
            server.connection.reset_stream(asked.stream, 7)
        else:
            echo(server, asked)

    client, _ = start(reset)
    with pytest.raises(ConnectionLost, match="code 7"):
        done(client.request("GET", "/bad"))
    assert done(client.request("GET", "/good")).status == 200


def test_all_requests_fail_when_the_connection_ends_and_no_new_one_begins(start: Start) -> None:
    def drop(server: H2Server, asked: Asked) -> None:
        if asked.path == "/last":
            server.sock.close()

    client, server = start(drop)
    pending = [client.request("GET", path) for path in ("/1", "/2", "/last")]
    for one in pending:
        with pytest.raises(ConnectionLost):
            done(one)
    server.ends.wait(TIMEOUT_S)
    with pytest.raises(ConnectionLost):
        client.request("GET", "/4")


def test_a_server_that_goes_away_answers_what_it_has_taken(start: Start) -> None:
    def leave(server: H2Server, asked: Asked) -> None:
        if asked.path == "/second":
            server.sock.sendall(
                frames.goaway_frame(1, 0) + frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"\x88")
            )

    client, _ = start(leave)
    first, second = client.request("GET", "/first"), client.request("GET", "/second")
    with pytest.raises(ConnectionLost, match="ends the connection"):
        done(second)
    assert done(first).status == 200
    with pytest.raises(ConnectionLost, match="ends the connection"):
        client.request("GET", "/third")


@pytest.mark.parametrize(
    "raw",
    [
        frames.frame(frames.DATA, 0, 1, b"x" * 20) + frames.frame(frames.DATA, frames.END_STREAM, 1),
        frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b""),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88\x5c\x019") + frames.frame(frames.DATA, frames.END_STREAM, 1, b"abc"),
    ],
    ids=["no status", "empty head", "other length than announced"],
)
def test_an_answer_that_is_none_is_broken(start: Start, raw: bytes) -> None:
    client, _ = start(lambda server, _: server.sock.sendall(raw))
    with pytest.raises(BrokenAnswer):
        done(client.request("GET", "/"))


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_is_too_large_is_cut_off(start: Start, announced: bool) -> None:
    headers = {"content_length": str(len(BODY))} if announced else {}
    client, server = start(lambda server, asked: server.respond(asked.stream, 200, BODY, **headers))
    with pytest.raises(BrokenAnswer, match="larger than 1000 bytes"):
        done(client.request("GET", "/", max_bytes=1000))
    assert len(done(client.request("GET", "/")).body) == len(BODY)
    assert server.asked[1].reset in (8, None)


@pytest.mark.parametrize(
    "raw",
    [
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.frame(frames.CONTINUATION, 0, 1, b"\x88"),
        frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.CONTINUATION, 0, 1, bytes(60_000)) * 5,
        frames.frame(frames.HEADERS, frames.PADDED, 1, b"\x09"),
        frames.frame(frames.HEADERS, frames.PRIORITY_FLAG, 1, b"\x09"),
        frames.frame(frames.SETTINGS, 0, 0, b"abc"),
        frames.window_update(0, frames.MAX_WINDOW),
        frames.window_update(1, frames.MAX_WINDOW),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 9,
    ],
)
def test_a_breach_of_the_protocol_ends_the_connection_for_all(start: Start, raw: bytes) -> None:
    client, _ = start(lambda server, _: server.sock.sendall(raw))
    with pytest.raises(ConnectionLost):
        done(client.request("GET", "/"))


def test_close_ends_every_wait_and_is_harmless_twice(start: Start) -> None:
    def stop_reading(server: H2Server, asked: Asked) -> None:
        server.gives_windows = False

    client, _ = start(ignore, on_head=stop_reading)
    answer = client.request("GET", "/never-answered")
    with ThreadPoolExecutor(2) as pool:
        begun = threading.Event()

        def send() -> Future[Answer]:
            begun.set()
            return client.request("POST", "/never-taken", body=BODY * 4)

        sending = pool.submit(send)
        begun.wait(TIMEOUT_S)
        client.close()
        client.close()
        failures = [answer.exception(TIMEOUT_S)]
        failures.append(sending.exception(TIMEOUT_S) or sending.result().exception(TIMEOUT_S))
    assert [type(failure) for failure in failures] == [ConnectionLost, ConnectionLost]
