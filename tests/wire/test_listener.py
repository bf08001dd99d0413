"""The listener over real TLS on the loopback: what odd clients send, limits, and the way out of HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.certificate import write_certificate
from kit.echo_app import PROTOCOL, ask
from kit.https_server import HttpsServer, read_answer, read_until_end
from platevault.wire import http1


def test_target_arrives_as_it_was_sent(server: HttpsServer) -> None:
    status, headers, body = ask(server.dial(), "GET //api2/json/a%2Fb?x=%20 HTTP/1.1\nhost: x\n\n")
    assert status == "HTTP/1.1 200 OK"
    assert "date" in headers
    assert body == b"GET //api2/json/a%2Fb x=%20 "


def test_requests_share_a_connection_and_need_no_host(server: HttpsServer) -> None:
    with server.dial() as sock:
        for number in range(3):
            assert ask(sock, f"GET /{number} HTTP/1.1\n\n")[2] == b"GET /%d  " % number


def test_pipelined_requests_are_answered_in_order(server: HttpsServer) -> None:
    with server.dial() as sock:
        sock.sendall(b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\n\r\n")
        assert [read_answer(sock)[2] for _ in range(3)] == [b"GET /1  ", b"POST /2  hi", b"GET /3  "]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_head_may_trickle_in(server: HttpsServer, size: int) -> None:
    raw = b"POST /slow HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"
    with server.dial() as sock:
        for start in range(0, len(raw), size):
            sock.sendall(raw[start : start + size])
        assert read_answer(sock)[2] == b"POST /slow  body"


def test_large_bodies_pass(server: HttpsServer) -> None:
    body = bytes(range(256)) * 4096 * 4
    with server.dial() as sock:
        answer = ask(sock, f"PUT /x HTTP/1.1\ncontent-length: {len(body)}\n\n", body)
    assert answer[2] == b"PUT /x  " + body


@pytest.mark.parametrize("connection", ["Connection: Upgrade\n", "connection: keep-alive, upgrade\n", ""])
@pytest.mark.parametrize("early", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_upgrade_hands_the_connection_over(server: HttpsServer, connection: str, early: bytes) -> None:
    with server.dial() as sock:
        status, headers, _ = ask(sock, f"GET /upgrade HTTP/1.1\nUpgrade: {PROTOCOL}\n{connection}\n", early)
        assert status == "HTTP/1.1 101 Switching Protocols"
        assert (headers["upgrade"], headers["connection"]) == (PROTOCOL, "upgrade")
        assert "date" in headers
        assert "content-length" not in headers
        sock.sendall(b"more" * 10000 + b"bye")
        assert read_until_end(sock) == early + b"more" * 10000 + b"bye"
    assert server.listener.connections == 0


def test_early_bytes_may_come_in_pieces(server: HttpsServer) -> None:
    raw = f"GET /upgrade HTTP/1.1\r\nupgrade: {PROTOCOL}\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\nbye".encode()
    with server.dial() as sock:
        for start in range(0, len(raw), 5):
            sock.sendall(raw[start : start + 5])
        assert read_answer(sock)[0].split()[1] == "101"
        assert read_until_end(sock) == raw.partition(b"\r\n\r\n")[2]


def test_upgrade_need_not_be_the_first_request(server: HttpsServer) -> None:
    with server.dial() as sock:
        assert ask(sock, "GET /login HTTP/1.1\n\n")[0].split()[1] == "200"
        assert ask(sock, f"GET /upgrade HTTP/1.1\nupgrade: {PROTOCOL}\nconnection: upgrade\n\n")[0].split()[1] == "101"
        sock.sendall(b"bye")
        assert read_until_end(sock) == b"bye"


@pytest.mark.parametrize("connection", ["connection: upgrade\n", ""])
def test_a_request_that_is_not_upgraded_leaves_the_connection_usable(server: HttpsServer, connection: str) -> None:
    with server.dial() as sock:
        assert ask(sock, f"GET /other HTTP/1.1\nupgrade: {PROTOCOL}\n{connection}\n")[2] == b"GET /other  "
        assert ask(sock, "GET /next HTTP/1.1\n\n", b"GET /third HTTP/1.1\r\n\r\n")[2] == b"GET /next  "
        assert read_answer(sock)[2] == b"GET /third  "


def test_http_1_0_gets_no_way_out(server: HttpsServer) -> None:
    with server.dial() as sock:
        assert ask(sock, f"GET /upgrade HTTP/1.0\nupgrade: {PROTOCOL}\nconnection: upgrade\n\n")[0].split()[1] == "500"


def test_no_application_protocol_is_selected(server: HttpsServer) -> None:
    assert server.dial(alpn=("h2", "http/1.1")).selected_alpn_protocol() is None


@pytest.mark.parametrize(("method", "status"), [("GET", b"301"), ("HEAD", b"301"), ("POST", b"308")])
def test_plain_http_is_sent_to_https(server: HttpsServer, method: str, status: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(f"{method} /path HTTP/1.1\r\nHost: backup.example:8007\r\n\r\n".encode())
        answer = read_until_end(sock)
    assert answer.split()[1] == status
    assert b"\r\nlocation: https://backup.example:8007\r\n" in answer


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"])
def test_plain_http_without_a_good_host_is_400(server: HttpsServer, raw: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(raw)
        assert read_until_end(sock).split()[1] == b"400"


@pytest.mark.parametrize("head", ["GET /" + "x" * 70000, "GET / HTTP/1.1\nx: " + "y" * 70000])
def test_an_endless_head_is_refused(server: HttpsServer, head: str) -> None:
    with server.dial() as sock:
        assert ask(sock, head)[0].split()[1] == "431"
        assert sock.recv(1) == b""


def test_an_invalid_request_ends_the_connection(server: HttpsServer) -> None:
    with server.dial() as sock:
        assert ask(sock, "this is no http\n\n")[0].split()[1] == "400"
        assert sock.recv(1) == b""


def test_a_slow_head_ends_the_connection(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_TIMEOUT_S", 0.0)
    with server.dial() as sock:
        assert sock.recv(1) == b""


def test_a_slow_body_ends_the_connection(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "BODY_TIMEOUT_S", 0.0)
    with server.dial() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc")
        assert sock.recv(1) == b""


def test_stop_ends_idle_connections_and_lets_handed_over_ones_live(server: HttpsServer) -> None:
    idle, raw, upgraded = server.dial(), server.connect(), server.dial()
    ask(idle, "GET / HTTP/1.1\n\n")
    ask(upgraded, f"GET /upgrade HTTP/1.1\nupgrade: {PROTOCOL}\n\n")
    server.call(server.listener.stop(5.0))
    assert idle.recv(1) == b""
    upgraded.sendall(b"bye")
    assert read_until_end(upgraded) == b"bye"
    raw.close()


def test_a_new_certificate_counts_from_the_next_connection(server: HttpsServer, tmp_path: Path) -> None:
    old = server.dial().getpeercert(binary_form=True)
    write_certificate(tmp_path)
    new = server.dial().getpeercert(binary_form=True)
    assert new != old
    (tmp_path / "server.pem").write_text("half a certificate")
    assert server.dial().getpeercert(binary_form=True) == new
