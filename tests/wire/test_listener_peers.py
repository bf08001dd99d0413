"""Peers of the listener that are old, slow, gone, or in a hurry."""

from __future__ import annotations

import contextlib
import ssl
import warnings

import pytest

from kit.echo_app import PROTOCOL, ask
from kit.https_server import HttpsServer, read_answer, read_until_end
from platevault.wire import tls


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(server: HttpsServer, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # or this machine's own policy would refuse it first
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    with server.connect() as sock, pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        context.wrap_socket(sock)
    assert server.dial().version() == "TLSv1.3"


def test_a_handshake_that_never_ends_is_given_up(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT_S", 0.0)
    for begin in (b"", b"\x16", b"\x16\x03\x01\x02\x00"):
        with server.connect() as sock:
            sock.sendall(begin)
            with contextlib.suppress(ConnectionResetError):
                assert read_until_end(sock) == b""


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x00\x05hello" * 50, b"\x16\x03" + b"\xff" * 20000])
def test_what_only_looks_like_tls_costs_nobody_else_anything(server: HttpsServer, raw: bytes) -> None:
    with server.connect() as sock, contextlib.suppress(ConnectionError):
        sock.sendall(raw)
        read_until_end(sock)
    assert ask(server.dial(), "GET /fine HTTP/1.1\n\n")[2] == b"GET /fine  "


def test_a_client_that_goes_in_the_middle_is_forgotten(server: HttpsServer) -> None:
    for raw in (b"", b"GET / HT", b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab"):
        sock = server.dial()
        sock.sendall(raw)
        sock.close()
    assert ask(server.dial(), "GET /fine HTTP/1.1\n\n")[2] == b"GET /fine  "
    server.call(server.listener.stop(5.0))
    assert server.listener.connections == 0


def test_large_transfers_behind_the_upgrade_lose_no_byte(server: HttpsServer) -> None:
    """More than every buffer on the way, echoed while it is still being sent."""
    data = bytes(range(256)) * 20_000
    with server.dial() as sock:
        ask(sock, f"GET /upgrade HTTP/1.1\nupgrade: {PROTOCOL}\n\n", data[:30_000])
        received, at = b"", 30_000
        while at < len(data):
            sock.sendall(data[at : at + 50_000])
            at += 50_000
            received += sock.recv(65536)
        sock.sendall(b"bye")
        assert received + read_until_end(sock) == data + b"bye"


def test_what_is_held_back_for_an_upgrade_is_bounded(server: HttpsServer) -> None:
    """A client that floods before its answer is stopped by TCP, and everything arrives when the upgrade was refused."""
    request = f"GET /slow HTTP/1.1\r\nupgrade: {PROTOCOL}\r\n\r\n".encode()
    follow = b"GET /%d HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n"
    with server.dial() as sock:
        sock.sendall(request + b"".join(follow % number for number in range(20)))
        assert [read_answer(sock)[2] for _ in range(21)] == [b"GET /slow  "] + [b"GET /%d  " % number for number in range(20)]
