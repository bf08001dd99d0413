"""A Listener with any ASGI application on a loopback port, in an event loop of its own thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from platevault.clock import SystemClock
from platevault.wire.certificates import CertificateFiles
from platevault.wire.listener import Listener, open_port

T = TypeVar("T")
TIMEOUT_S = 20.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


class HttpsServer:
    """A running listener. `call` runs a coroutine in its loop."""

    def __init__(self, app: Any, certificate: Path, key: Path, *, loop: str) -> None:
        self._loop = LOOPS[loop]()
        self.listener = Listener(app, open_port("127.0.0.1", 0), CertificateFiles(certificate, key), clock=SystemClock())
        self.port = self.listener.port
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.call(self.listener.start())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    def close(self) -> None:
        self.call(self.listener.stop(0.0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def connect(self) -> socket.socket:
        """A plain TCP connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def dial(self, *, alpn: tuple[str, ...] = ()) -> ssl.SSLSocket:
        """A TLS connection; the certificate is not checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(self.connect(), suppress_ragged_eofs=True)


@contextmanager
def https_server(app: Any, certificate: Path, key: Path, *, loop: str = "uvloop") -> Iterator[HttpsServer]:
    server = HttpsServer(app, certificate, key, loop=loop)
    try:
        yield server
    finally:
        server.close()


def read_answer(sock: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers in lower case and body of one response with content-length; a 101 has none."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = sock.recv(1)
        if not piece:
            raise ConnectionError(f"end of file inside a response head: {received!r}")
        received += piece
    status, *lines = received.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body, length = b"", int(headers.get("content-length", "0"))
    while len(body) < length:
        piece = sock.recv(length - len(body))
        if not piece:
            raise ConnectionError("end of file inside a response body")
        body += piece
    return status, headers, body


def read_until_end(sock: socket.socket) -> bytes:
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received
