"""A TLS connection outside the event loop, in both ways of use."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.tls_pair import TIMEOUT_S, TlsPairs
from platevault.wire.link import LinkClosed, TlsLink

Pair = tuple[TlsLink, ssl.SSLSocket]
DATA = bytes(range(256)) * 20_000


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> TlsPairs:
    return TlsPairs(tmp_path, version=request.param)


@pytest.fixture(params=[True, False], ids=["server", "client"])
def pair(request: pytest.FixtureRequest, pairs: TlsPairs) -> Iterator[Pair]:
    link, sock = pairs.open(link_is_server=request.param)
    yield link, sock
    link.close()
    sock.close()


def receive_all(link: TlsLink, size: int, step: int = 100_000) -> bytes:
    received, view = b"", memoryview(bytearray(step))
    while len(received) < size:
        received += view[: link.receive(view)]
    return received


def read_all(sock: ssl.SSLSocket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += sock.recv(size - len(received))
    return received


def test_blocking_style_carries_bytes_both_ways(pair: Pair) -> None:
    link, sock = pair
    with ThreadPoolExecutor(2) as pool:
        pool.submit(sock.sendall, DATA)
        assert receive_all(link, len(DATA)) == DATA
        pool.submit(link.send, DATA[:7], memoryview(DATA)[7:])
        assert read_all(sock, len(DATA)) == DATA


def test_event_style_carries_bytes_both_ways(pair: Pair) -> None:
    link, sock = pair
    link.set_blocking(False)
    assert link.receive_ready(memoryview(bytearray(10))) == 0
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sock.sendall, DATA)
        received, view = b"", memoryview(bytearray(100_000))
        while len(received) < len(DATA):
            select.select([link], [], [], TIMEOUT_S)
            while count := link.receive_ready(view):
                received += view[:count]
        assert received == DATA
        sending.result(TIMEOUT_S)
        link.queue(DATA)
        assert link.backlog_bytes > len(DATA)
        assert not link.flush(), "more than any socket buffer takes"
        reading = pool.submit(read_all, sock, len(DATA))
        while not link.flush():
            select.select([], [link], [], TIMEOUT_S)
        assert reading.result(TIMEOUT_S) == DATA
    assert link.backlog_bytes == 0


@pytest.mark.parametrize("step", [1, 3, 100])
def test_bytes_that_were_decrypted_before_come_first(pairs: TlsPairs, step: int) -> None:
    link, sock = pairs.open(link_is_server=True, early=b"early")
    sock.sendall(b"late")
    assert receive_all(link, 9, step) == b"earlylate"
    link.close()


def test_messages_of_several_threads_stay_whole(pair: Pair) -> None:
    link, sock = pair
    messages = [bytes([number]) * 300_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for message in messages:
            pool.submit(link.send, message[:100], message[100:])
        received = read_all(sock, 8 * 300_000)
    assert sorted(received[at : at + 300_000] for at in range(0, len(received), 300_000)) == messages


def test_one_thread_may_receive_while_others_send(pair: Pair) -> None:
    link, sock = pair
    with ThreadPoolExecutor(2) as pool:
        echoing = pool.submit(_echo, sock, len(DATA))
        sending = pool.submit(link.send, DATA)
        assert receive_all(link, len(DATA)) == DATA
        sending.result(TIMEOUT_S)
        echoing.result(TIMEOUT_S)


def _echo(sock: ssl.SSLSocket, size: int) -> None:
    """One thread for both directions: a socket of the standard library does not take two."""
    while size:
        piece = sock.recv(65536)
        sock.sendall(piece)
        size -= len(piece)


@pytest.mark.parametrize("goodbye", ["close_notify", "fin", "close_notify after data"])
@pytest.mark.parametrize("style", ["blocking", "event"])
def test_an_orderly_end_is_clean_and_loses_nothing(pair: Pair, goodbye: str, style: str) -> None:
    link, sock = pair
    view = memoryview(bytearray(100))
    expected = b"last" if goodbye.endswith("data") else b""
    sock.sendall(expected)
    if goodbye == "fin":
        sock.shutdown(socket.SHUT_WR)
    else:
        sock.settimeout(0.0)
        with contextlib.suppress(OSError):
            sock.unwrap()
    if expected:
        assert view[: link.receive(view)] == expected
    link.set_blocking(style == "blocking")
    with pytest.raises(LinkClosed) as caught:
        _receive_something(link, view, style)
    assert caught.value.clean


def _receive_something(link: TlsLink, view: memoryview, style: str) -> None:
    while (link.receive if style == "blocking" else link.receive_ready)(view) == 0:
        select.select([link], [], [], TIMEOUT_S)  # session tickets of TLS 1.3 are no data


def test_bytes_that_are_no_tls_are_no_clean_end(pair: Pair) -> None:
    link, sock = pair
    plain = socket.socket(fileno=sock.detach())
    plain.sendall(b"plain text" * 10)
    with pytest.raises(LinkClosed) as caught:
        link.receive(memoryview(bytearray(10)))
    assert not caught.value.clean
    plain.close()


def test_a_peer_that_is_gone_fails_sending(pair: Pair) -> None:
    link, sock = pair
    sock.close()
    with pytest.raises(LinkClosed):
        link.send(DATA * 20)
    link.set_blocking(False)
    link.queue(b"x")
    with pytest.raises(LinkClosed):
        link.flush()


def test_abort_wakes_who_waits(pair: Pair) -> None:
    link, _ = pair
    with ThreadPoolExecutor(2) as pool:
        receiving = pool.submit(link.receive, memoryview(bytearray(10)))
        sending = pool.submit(link.send, DATA * 4)
        link.abort()
        for waiting in (receiving, sending):
            with pytest.raises(LinkClosed):
                waiting.result(TIMEOUT_S)


def test_shutdown_tells_the_peer_and_still_receives(pair: Pair) -> None:
    link, sock = pair
    link.shutdown_sending()
    link.shutdown_sending()
    assert sock.recv(10) == b""
    if sock.version() == "TLSv1.3":  # before, close_notify ends both directions
        sock.sendall(b"still here")
        assert receive_all(link, 10) == b"still here"


def test_close_twice_is_harmless_and_the_peer_has_no_name_then(pairs: TlsPairs) -> None:
    link, sock = pairs.open(link_is_server=True)
    link.close()
    link.close()
    assert link.peer_name() == ""
    sock.close()
