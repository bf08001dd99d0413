"""Two ends of one TLS connection over a socket pair: a TlsLink of ours, and a socket of the standard library."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kit.certificate import write_certificate
from platevault.wire.link import TlsLink

TIMEOUT_S = 20.0


class TlsPairs:
    """Makes pairs with one certificate. `version` is both the lowest and the highest that is spoken."""

    def __init__(self, folder: Path, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        certificate, key, self.fingerprint = write_certificate(folder)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(certificate, key)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname, self.client.verify_mode = False, ssl.CERT_NONE
        for context in (self.server, self.client):
            context.minimum_version = context.maximum_version = version

    def open(self, *, link_is_server: bool, early: bytes = b"") -> tuple[TlsLink, ssl.SSLSocket]:
        """A link and its peer, after the handshake; the peer's waits end after TIMEOUT_S."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(TIMEOUT_S)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context, other = (self.server, self.client) if link_is_server else (self.client, self.server)
        tls = context.wrap_bio(incoming, outgoing, server_side=link_is_server)
        with ThreadPoolExecutor(1) as pool:
            peer = pool.submit(other.wrap_socket, theirs, server_side=not link_is_server)
            _shake_hands(ours, tls, incoming, outgoing)
            return TlsLink(ours, tls, incoming, outgoing, early=early), peer.result(TIMEOUT_S)


def _shake_hands(sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        sock.sendall(outgoing.read())
        if not done:
            incoming.write(sock.recv(65536))
