"""A TLS connection to a server that has been upgraded to the backup or the reader protocol.

Source: spec wire-protocol §2. The request is HTTP/1.1 with `Host`, `Connection: Upgrade` and the protocol id; nothing is sent after it
until the 101 has been read whole, and not one byte more is read, because the server's first HTTP/2 frames may follow at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlencode

from platevault.client.refusal import refusal
from platevault.client.repository import Repository
from platevault.client.trust import CONNECT_TIMEOUT_S, Trust, cannot_connect
from platevault.errors import Unavailable
from platevault.wire.link import LinkClosed, TlsLink

BACKUP_PROTOCOL = "proxmox-backup-protocol-v1"
READER_PROTOCOL = "proxmox-backup-reader-protocol-v1"
UPGRADE_TIMEOUT_S = 120.0  # locks and the previous manifest are checked before the 101
KEEPALIVE_IDLE_S = 120
MAX_HEAD_BYTES = 16 * 1024
MAX_ERROR_BYTES = 64 * 1024
HANDSHAKE_READ_BYTES = 64 * 1024


def open_session_link(
    repository: Repository, trust: Trust, protocol: str, parameters: Mapping[str, object], headers: Mapping[str, str]
) -> TlsLink:
    """A link that speaks HTTP/2 from the next byte on.

    parameters: the query of spec §2.3. headers: the proof of identity.
    Raises CannotConnect, UntrustedCertificate, or a Refused of the fitting family with the server's own text.
    """
    link = open_tls(repository.host, repository.port, trust)
    try:
        upgrade(link, repository.server, protocol, parameters, headers)
    except BaseException:
        link.close()
        raise
    return link


def open_tls(host: str, port: int, trust: Trust) -> TlsLink:
    """Connect, shake hands and check the certificate. Raises CannotConnect or UntrustedCertificate."""
    try:
        sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    except (OSError, UnicodeError) as error:
        raise cannot_connect(host, port, error) from error
    try:
        _tune(sock)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trust.context().wrap_bio(incoming, outgoing, server_hostname=host)
        _shake_hands(sock, tls, incoming, outgoing)
        trust.check(host, tls.getpeercert(binary_form=True))
        sock.settimeout(UPGRADE_TIMEOUT_S)
    except (OSError, UnicodeError) as error:
        sock.close()
        raise cannot_connect(host, port, error) from error
    except BaseException:
        sock.close()
        raise
    return TlsLink(sock, tls, incoming, outgoing)


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)


def _shake_hands(sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        finally:
            if outgoing.pending:
                sock.sendall(outgoing.read())
        if not done:
            received = sock.recv(HANDSHAKE_READ_BYTES)
            if not received:
                raise ConnectionResetError("the server closed the connection during the TLS handshake")
            incoming.write(received)


def upgrade(link: TlsLink, server: str, protocol: str, parameters: Mapping[str, object], headers: Mapping[str, str]) -> None:
    """Ask for the protocol and read the 101. On return the socket has no time limit any more: a session may be silent for hours."""
    path = "reader" if protocol == READER_PROTOCOL else "backup"
    fields = {"host": server, "user-agent": "platevault-client/1", "connection": "Upgrade", "upgrade": protocol, **headers}
    lines = [f"GET /api2/json/{path}?{urlencode(sorted(parameters.items()))} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    try:
        link.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        status, answer = _read_head(link)
        if status != 101:
            raise refusal(f"starting a {path} session on {server}", status, _read_body(link, answer))
    except LinkClosed as error:
        raise Unavailable(f"{server} did not answer the request for a {path} session: {error}") from error
    link.set_blocking(True)


def _read_head(link: TlsLink) -> tuple[int, dict[str, str]]:
    received, one = bytearray(), memoryview(bytearray(1))
    while not received.endswith(b"\r\n\r\n"):
        link.receive(one)
        received += one
        if len(received) > MAX_HEAD_BYTES:
            raise Unavailable("the answer to the upgrade request has no end; is this a backup server?")
    first, *lines = received.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not _is_number(words[1]):
        raise Unavailable(f"the answer to the upgrade request is no HTTP: {first[:80]!r}")
    pairs = (line.partition(":") for line in lines if line)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _read_body(link: TlsLink, headers: dict[str, str]) -> bytes:
    """The error text: by its length when given, else what comes before the end."""
    text, view = bytearray(), memoryview(bytearray(4096))
    announced = headers.get("content-length", "")
    length = int(announced) if _is_number(announced) else MAX_ERROR_BYTES
    try:
        while len(text) < min(length, MAX_ERROR_BYTES):
            text += view[: link.receive(view)]
    except LinkClosed:
        pass
    return bytes(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
