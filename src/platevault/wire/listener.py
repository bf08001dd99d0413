"""The one port of the server: accepts, speaks TLS and HTTP/1.1, and lets connections leave for a thread.

Source: design §5, spec wire-protocol §2.1. Limits: so many connections at once, 10 s for a handshake, 60 s for a request head.
Connections that have left (backup and reader sessions) do not count here and are not touched by `stop`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from email.utils import formatdate
from typing import Any, cast

from uvicorn.server import ServerState

from platevault.clock import Clock
from platevault.errors import Unavailable
from platevault.wire.certificates import ContextSource
from platevault.wire.http1 import Http1Protocol, http1_config
from platevault.wire.tls import TlsProtocol

TCP_KEEPALIVE_S = 120  # both sides of the protocol use it: the only way to notice a peer that vanished
HTTP_KEEP_ALIVE_S = 120.0
MAX_CONNECTIONS = 2000
BACKLOG = 1024
DATE_STEP_S = 1.0

log = logging.getLogger(__name__)


class CannotListen(Unavailable):
    """The address is taken, not ours, or not permitted. Facts: `host`, `port`."""


def open_port(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. An empty host or `::` listens on IPv4 and IPv6. Raises CannotListen.

    Accepted connections inherit the TCP options from it (Linux), which saves three system calls each.
    """
    try:
        sock = _bound(host, port)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host or '[::]'}:{port}: {error.strerror or error}", host=host, port=port) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEPALIVE_S)
    sock.setblocking(False)
    return sock


def _bound(host: str, port: int) -> socket.socket:
    if host in ("", "::", "*"):
        if socket.has_dualstack_ipv6():
            try:
                return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
            except OSError as error:
                log.debug("no IPv6: %s", error)
        return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


class Listener:
    """Serves an ASGI application. Made anywhere; `serve` and what it calls run in one event loop, `stop` may be called in it only."""

    def __init__(
        self, app: Any, sock: socket.socket, contexts: ContextSource, *, clock: Clock, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        """sock: from `open_port`, owned by the listener from now on. contexts: asked for each connection."""
        self._sock = sock
        self._contexts = contexts
        self._clock = clock
        self._max_connections = max_connections
        self._config = http1_config(app, keep_alive_s=HTTP_KEEP_ALIVE_S)
        self._state = ServerState()
        self._open: set[TlsProtocol] = set()
        self._server: asyncio.Server | None = None
        self._stopped = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    @property
    def connections(self) -> int:
        """Connections of the event loop at this moment."""
        return len(self._open)

    async def start(self) -> None:
        """Accept connections from now on."""
        self._set_date()
        self._server = await asyncio.get_running_loop().create_server(self._connect, sock=self._sock, backlog=BACKLOG)

    async def serve(self) -> None:
        """Start, and return when `stop` is done."""
        if self._server is None:
            await self.start()
        await self._stopped.wait()

    async def stop(self, drain_s: float) -> None:
        """Accept no more, let running requests end for at most `drain_s` seconds, then drop what is left."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        for protocol in [item for item in self._open if not item.is_established]:
            protocol.abort()
        try:
            await asyncio.wait_for(self._empty.wait(), drain_s)
        except TimeoutError:
            log.warning("dropping %d connections that did not end in %.0f s", len(self._open), drain_s)
            for protocol in list(self._open):
                protocol.abort()
        for task in list(self._state.tasks):
            task.cancel()
        self._stopped.set()

    def _connect(self) -> asyncio.Protocol:
        protocol = TlsProtocol(self._contexts, self._make_http1, ended=self._forget)
        if len(self._open) >= self._max_connections:
            log.warning("more than %d connections at once, refusing one", self._max_connections)
            return _Refusal()
        self._open.add(protocol)
        self._empty.clear()
        return protocol

    def _forget(self, protocol: TlsProtocol) -> None:
        self._open.discard(protocol)
        if not self._open:
            self._empty.set()

    def _make_http1(self) -> Http1Protocol:
        return Http1Protocol(self._config, self._state, now=self._clock.now)

    def _set_date(self) -> None:
        """The date header of all answers, made once a second."""
        self._state.default_headers = [(b"date", formatdate(self._clock.now(), usegmt=True).encode())]
        if not self._stopped.is_set():
            asyncio.get_running_loop().call_later(DATE_STEP_S, self._set_date)


class _Refusal(asyncio.Protocol):
    """Drops a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
