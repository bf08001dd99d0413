"""One server connection over real TLS, with a client that we did not write."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.h2_client import H2Client
from kit.http2_peer import Body
from kit.tls_pair import TIMEOUT_S, TlsPairs
from platevault.clock import SystemClock
from platevault.wire.http2 import frames, server
from platevault.wire.http2.message import FileBody, Request, Response, Upload
from platevault.wire.http2.server import End, ServerConnection
from platevault.wire.link import TlsLink

CHUNK = 16 * 1024 * 1024 + 44


class Digest(Body):
    """Answers with the SHA-256 of the body."""

    def finish(self) -> Response:
        return Response(200, hashlib.sha256(self.data).hexdigest().encode())


class Served:
    """A running server connection; `uploads` are the bodies of its requests."""

    def __init__(self, link: TlsLink, sock: ssl.SSLSocket) -> None:
        self.link, self.sock = link, sock
        self.uploads: list[Body] = []
        self.connection = ServerConnection(link, self._handle, clock=SystemClock())
        self.end: End | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.end = self.connection.run()

    def _handle(self, request: Request) -> Upload | Response:
        match request.path.split("/")[1:]:
            case ["zeros", size]:
                return Response(200, FileBody(io.BytesIO(bytes(int(size))), int(size), with_length=True))
            case ["wait"]:
                return Response(401, b"refused", delay_s=0.05)
            case ["early"]:
                self.uploads.append(Body(request, early=1000))
            case _:
                self.uploads.append(Digest(request))
        return self.uploads[-1]

    def join(self) -> End:
        self._thread.join(TIMEOUT_S)
        assert self.end is not None
        return self.end


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> TlsPairs:
    return TlsPairs(tmp_path, version=request.param)


@pytest.fixture
def served(pairs: TlsPairs) -> Iterator[Served]:
    running = Served(*pairs.open(link_is_server=True))
    yield running
    running.connection.stop()
    running.join()
    running.sock.close()


def test_large_bodies_arrive_whole(served: Served) -> None:
    client = H2Client(served.sock)
    body = bytes(range(256)) * (CHUNK // 256) + b"rest"
    answer = client.answer(client.request("POST", "/chunk", body))
    assert (answer.status, bytes(answer.body)) == (200, hashlib.sha256(body).hexdigest().encode())
    assert answer.headers["content-length"] == "64"
    assert "date" in answer.headers


def test_many_streams_at_once_are_kept_apart(served: Served) -> None:
    client = H2Client(served.sock)
    bodies = {client.open("POST", f"/{number}"): bytes([number]) * (number * 991 + 1) for number in range(100)}
    for start in range(0, 100_000, 7000):
        for stream, body in bodies.items():
            client.send(stream, body[start : start + 7000])
    for stream in bodies:
        client.send(stream, b"", end=True)
    for stream, body in bodies.items():
        assert bytes(client.answer(stream).body) == hashlib.sha256(body).hexdigest().encode()


def test_downloads_keep_to_small_windows_of_the_client(served: Served) -> None:
    client = H2Client(served.sock, window=20_000)
    streams = {client.request("GET", f"/zeros/{size}"): size for size in (0, 1, 19_999, 20_000, 20_001, 3_000_000)}
    for stream, size in streams.items():
        answer = client.answer(stream)
        assert answer.headers["content-length"] == str(size)
        assert bytes(answer.body) == bytes(size)


def test_an_early_answer_does_not_disturb_the_connection(served: Served) -> None:
    client = H2Client(served.sock)
    stream = client.open("POST", "/early")
    client.send(stream, bytes(5_000_000), end=True)
    assert client.answer(stream).status == 400
    assert client.answer(client.request("POST", "/next", b"x")).status == 200
    assert len(served.uploads[0].data) < 5_000_000


def test_delayed_answers_let_others_pass(served: Served) -> None:
    client = H2Client(served.sock)
    slow, quick = client.request("GET", "/wait"), client.request("GET", "/quick")
    assert client.answer(quick).status == 200
    assert not client.answers[slow].ended
    assert client.answer(slow).status == 401


def test_pings_are_answered(served: Served) -> None:
    client = H2Client(served.sock)
    client.connection.ping(b"12345678")
    client.flush()
    while not client.pings:
        client.pump()
    assert client.pings == [b"12345678"]


@pytest.mark.parametrize("goodbye", ["goaway", "close_notify", "fin"])
def test_every_orderly_goodbye_is_clean(served: Served, goodbye: str) -> None:
    client = H2Client(served.sock)
    client.answer(client.request("POST", "/x", b"x"))
    if goodbye == "goaway":
        client.connection.close_connection()
        client.flush()
        client.receive_until_end()
    elif goodbye == "close_notify":
        with contextlib.suppress(ssl.SSLError):  # the server need not say the same
            served.sock.unwrap()
    else:
        served.sock.shutdown(socket.SHUT_WR)  # as existing clients end: no close_notify
    assert served.join() is End.CLEAN


def test_a_lost_connection_aborts_what_was_arriving(served: Served) -> None:
    client = H2Client(served.sock)
    client.send(client.open("POST", "/half"), b"half")
    client.connection.ping(bytes(8))
    client.flush()
    while not client.pings:
        client.pump()
    served.sock.close()
    served.join()
    assert (bytes(served.uploads[0].data), served.uploads[0].aborted, served.uploads[0].ended) == (b"half", True, False)


def test_stop_ends_a_connection_from_another_thread(served: Served) -> None:
    client = H2Client(served.sock)
    client.send(client.open("POST", "/half"), b"half")
    client.answer(client.request("POST", "/other", b"x"))
    served.connection.stop()
    assert served.join() is End.STOPPED
    assert served.uploads[0].aborted
    served.connection.stop()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frames.PREFACE + frames.frame(frames.PING, 0, 0, bytes(8)), 1),
        (frames.PREFACE + frames.settings_frame({}) + frames.frame(frames.PING, 0, 0, bytes(7)), 6),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 1),
        (b"PRI * HTTP/2.0\r\n\r\nXX", 1),
    ],
)
def test_a_protocol_error_is_told_before_the_connection_ends(served: Served, raw: bytes, code: int) -> None:
    served.sock.sendall(raw)
    received = b""
    while piece := served.sock.recv(65536):
        received += piece
    assert received.endswith(frames.goaway_frame(0, code))
    served.sock.close()
    assert served.join() is End.PROTOCOL_ERROR


def test_bytes_that_are_no_tls_end_the_connection(served: Served, pairs: TlsPairs) -> None:
    client = H2Client(served.sock)
    client.answer(client.request("POST", "/x", b"x"))
    socket.socket(fileno=served.sock.detach()).sendall(b"plain text" * 100)
    assert served.join() is End.RESET


def test_the_preface_may_come_byte_by_byte_and_behind_the_upgrade(pairs: TlsPairs) -> None:
    raw = frames.PREFACE + frames.settings_frame({}) + frames.frame(frames.PING, 0, 0, b"pingpong")
    for early in (0, 5, len(raw)):
        link, sock = pairs.open(link_is_server=True, early=raw[:early])
        running = Served(link, sock)
        for at in range(early, len(raw)):
            sock.sendall(raw[at : at + 1])
        received = b""
        while not received.endswith(frames.frame(frames.PING, frames.ACK, 0, b"pingpong")):
            received += sock.recv(65536)
        sock.close()
        running.join()


def test_a_peer_that_does_not_read_stops_being_read(pairs: TlsPairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that nobody takes must not fill the memory: the backlog stays near its limit while far more pings are sent."""
    limit = 256 * 1024
    monkeypatch.setattr(server, "MAX_BACKLOG_BYTES", limit)
    monkeypatch.setattr(server, "BUFFER_BYTES", frames.MAX_CONTROL_BYTES + 9)
    link, sock = pairs.open(link_is_server=True)
    reached, most = threading.Event(), [0]

    def watched(queue: Callable[[bytes], None], data: bytes) -> None:
        queue(data)
        most[0] = max(most[0], link.backlog_bytes)
        if link.backlog_bytes >= limit:
            reached.set()

    queue = link.queue
    monkeypatch.setattr(link, "queue", lambda data: watched(queue, data))
    running = Served(link, sock)
    count = 60_000
    pings = frames.PREFACE + frames.settings_frame({}) + frames.frame(frames.PING, 0, 0, bytes(8)) * count
    sender = threading.Thread(target=sock.sendall, args=(pings,))
    sender.start()
    assert reached.wait(TIMEOUT_S)
    received = 0
    while received < count * 17:
        received += len(sock.recv(1 << 20))
    sender.join(TIMEOUT_S)
    sock.close()
    running.join()
    assert limit <= most[0] < 4 * limit
