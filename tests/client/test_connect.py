"""The way from TCP to HTTP/2: what is sent, in which order, and what happens when the other side is something else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.certificate import write_certificate
from platevault.client.connect import BACKUP_PROTOCOL, READER_PROTOCOL, open_session_link
from platevault.client.open_session import open_backup, open_reader
from platevault.client.refusal import RefusedMissing, RefusedRequest
from platevault.client.repository import Repository
from platevault.client.trust import CannotConnect, Trust
from platevault.errors import PlatevaultError, Unavailable
from platevault.formats.names import ROOT, Namespace, SnapshotName
from platevault.wire.http2.frames import PREFACE

TIMEOUT_S = 20.0
NAME = SnapshotName.make("host", "elsa", 1_718_000_000)
Behave = Callable[[ssl.SSLSocket], None]


class Peer:
    """A TLS server for one connection that behaves as a test wants. `head` is the request it got."""

    def __init__(self, folder: Path) -> None:
        certificate, key, self.fingerprint = write_certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self.head = b""

    @contextmanager
    def behaving(self, behave: Behave, *, tls: bool = True) -> Iterator[Repository]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener, behave, tls))
            thread.start()
            yield Repository("store1", "127.0.0.1", listener.getsockname()[1], "alice@pbs!laptop")
            thread.join(TIMEOUT_S)

    def _serve(self, listener: socket.socket, behave: Behave, tls: bool) -> None:
        listener.settimeout(TIMEOUT_S)
        sock, _ = listener.accept()
        sock.settimeout(TIMEOUT_S)
        try:
            if not tls:
                sock.close()
                return
            secure = self._context.wrap_socket(sock, server_side=True)
            while not self.head.endswith(b"\r\n\r\n"):
                piece = secure.recv(1)
                if not piece:
                    return
                self.head += piece
            behave(secure)
            secure.close()
        except OSError:
            pass


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    return Peer(tmp_path)


def saying(raw: bytes) -> Behave:
    def behave(sock: ssl.SSLSocket) -> None:
        sock.sendall(raw)

    return behave


@pytest.mark.parametrize("protocol", [BACKUP_PROTOCOL, READER_PROTOCOL])
def test_the_request_is_what_every_server_understands(peer: Peer, protocol: str) -> None:
    with peer.behaving(saying(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")) as repository:
        parameters = {"store": "store1", "ns": "a/b", "backup-time": 5}
        open_session_link(repository, Trust(peer.fingerprint), protocol, parameters, {"authorization": "PBSAPIToken=x:y"}).close()
    first, *lines = peer.head.decode().strip().split("\r\n")
    path = "backup" if protocol == BACKUP_PROTOCOL else "reader"
    assert first == f"GET /api2/json/{path}?backup-time=5&ns=a%2Fb&store=store1 HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines)
    assert fields["host"] == repository.server
    assert (fields["connection"], fields["upgrade"]) == ("Upgrade", protocol)
    assert fields["authorization"] == "PBSAPIToken=x:y"


@pytest.mark.parametrize("namespace", [ROOT, Namespace.parse("a/b")])
def test_sessions_send_no_key_that_old_servers_refuse(peer: Peer, namespace: Namespace) -> None:
    for opener, extra in ((open_backup, ["benchmark=false"]), (open_reader, [])):
        peer.head = b""
        with peer.behaving(saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")) as repository:
            opener(repository, Trust(peer.fingerprint), {}, namespace, NAME).close()
        query = peer.head.split(b" ")[1].decode().partition("?")[2].split("&")
        wanted = ["backup-id=elsa", "backup-time=1718000000", "backup-type=host", *extra, "debug=false"]
        assert query == [*wanted, *(["ns=a%2Fb"] if namespace is not ROOT else []), "store=store1"]


@pytest.mark.parametrize("step", [1, 1000])
def test_not_one_byte_behind_the_101_is_lost_and_nothing_is_sent_before_it(peer: Peer, step: int) -> None:
    """The server's first frames may come in the same record as the 101, or the 101 byte by byte."""
    raw, received = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\nframes behind it", []

    def behave(sock: ssl.SSLSocket) -> None:
        sock.settimeout(0.0)
        with pytest.raises(ssl.SSLWantReadError):
            sock.recv(1)
        sock.settimeout(TIMEOUT_S)
        for start in range(0, len(raw), step):
            sock.sendall(raw[start : start + step])
        received.append(sock.recv(24))

    with peer.behaving(behave) as repository:
        link = open_session_link(repository, Trust(peer.fingerprint), BACKUP_PROTOCOL, {}, {})
        view = memoryview(bytearray(100))
        got = b""
        while len(got) < len(b"frames behind it"):
            got += view[: link.receive(view)]
        link.send(PREFACE)
    link.close()
    assert got == b"frames behind it"
    assert received == [PREFACE]


@pytest.mark.parametrize(
    ("raw", "family", "text"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\n\r\nno such way and more",
            RefusedRequest,
            "the server answered 400: no such way",
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\nnamespace\nis missing", RefusedMissing, "the server answered 404: namespace is missing"),
        (b"HTTP/1.1 400 X\r\ncontent-length: \xb2\xb3\r\n\r\ntext", RefusedRequest, "text"),
        (b"HTTP/1.1 400 X\r\ncontent-length: 99999999999999999999\r\n\r\ntext", RefusedRequest, "text"),
        (b"HTTP/1.1 301 Moved\r\nlocation: https://elsewhere/\r\n\r\n", RefusedRequest, "301"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", RefusedRequest, "200"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Unavailable, "is no HTTP"),
        (b"\r\n\r\n", Unavailable, "is no HTTP"),
        (b"HTTP/1.1 \xb2\xb3 X\r\n\r\n", Unavailable, "is no HTTP"),
        (b"x" * 20_000, Unavailable, "has no end"),
        (b"HTTP/1.1 101 Swit", Unavailable, "did not answer"),
        (b"", Unavailable, "did not answer"),
    ],
)
def test_other_answers(peer: Peer, raw: bytes, family: type[PlatevaultError], text: str) -> None:
    with peer.behaving(saying(raw)) as repository, pytest.raises(family) as caught:
        open_session_link(repository, Trust(peer.fingerprint), BACKUP_PROTOCOL, {}, {})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_hangs_up_during_the_handshake(peer: Peer) -> None:
    with peer.behaving(saying(b""), tls=False) as repository, pytest.raises(CannotConnect, match=r"cannot connect to 127\.0\.0\.1 port"):
        open_session_link(repository, Trust(peer.fingerprint), BACKUP_PROTOCOL, {}, {})


def test_an_error_without_end_is_read_only_so_far(peer: Peer) -> None:
    with peer.behaving(saying(b"HTTP/1.1 400 X\r\n\r\n" + b"y" * 5_000_000)) as repository, pytest.raises(RefusedRequest) as caught:
        open_session_link(repository, Trust(peer.fingerprint), BACKUP_PROTOCOL, {}, {})
    assert len(str(caught.value)) < 600
