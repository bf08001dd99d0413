"""HTTP/1.1 of uvicorn, with the tolerance that real backup clients need, limits, and a way out of HTTP.

Source: spec wire-protocol §1 (traps 1-3), §2.2, §2.7. The target is passed on raw: two leading slashes are no host. Missing Host and
`Upgrade` without `Connection: upgrade` are accepted. Bytes behind a request that asks for an upgrade are held back, because they
may already be HTTP/2; a refusal lets them go to the parser.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from platevault.wire.link import LinkClosed, TlsLink
from platevault.wire.tls import TlsTransport

EXTENSION = "platevault.takeover"
MAX_HEAD_BYTES = 64 * 1024  # request line and headers; the API itself refuses targets above 3072 bytes with 414
MAX_HELD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 60.0  # for a whole head, so that a byte now and then does not keep a connection
BODY_TIMEOUT_S = 60.0  # between two pieces of a body
HEAD_END = b"\r\n\r\n"
# The registered phrase, which clients show; the standard library before Python 3.13 still has an older one.
STATUS_LINE[414] = b"HTTP/1.1 414 URI Too Long\r\n"

Headers = list[tuple[bytes, bytes]]
TakeOver = Callable[[Headers], Awaitable[TlsLink]]  # what the extension is: see Http1Protocol._take_over


class Http1Protocol(HttpToolsProtocol):
    """One HTTP/1.1 connection over a TlsTransport. Adds the scope extension `platevault.takeover`."""

    transport: TlsTransport

    def __init__(self, config: Config, state: ServerState, *, now: Callable[[], float]) -> None:
        super().__init__(config, state, {})
        self._now = now
        self._tail = b""  # the last bytes of an unfinished head, in case that its end is split
        self._head_bytes = 0
        self._in_body = False
        self._upgrade_asked = False
        self._wants_upgrade = False  # a complete request that asks for it waits for its answer
        self._held = b""
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._expect_by(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    # --- bytes in ---

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._wants_upgrade or self._held:  # what is held back came before
            self._hold(data)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        while data and not self._wants_upgrade and not self.transport.is_closing():
            data = self._feed_step(data)
        if data and self._wants_upgrade:
            self._hold(data)

    def _feed_step(self, data: bytes) -> bytes:
        """Feed up to the end of a head, or all when there is none; returns the rest."""
        if self._in_body:
            self._expect_by(BODY_TIMEOUT_S)
            return self._parse(data, b"")
        if not self._head_bytes:
            self._expect_by(HEAD_TIMEOUT_S)
        end = (self._tail + data).find(HEAD_END)
        cut = len(data) if end < 0 else end + len(HEAD_END) - len(self._tail)
        self._head_bytes += cut
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
            return b""
        self._tail = b"" if end >= 0 else (self._tail + data)[-len(HEAD_END) + 1 :]
        return self._parse(data[:cut], data[cut:])

    def _parse(self, piece: bytes, rest: bytes) -> bytes:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            return piece[upgrade.args[0] :] + rest  # the parser stops behind the message and may be used again
        except httptools.HttpParserError:
            self._expect_nothing()
            self.send_400_response("Invalid HTTP request received.")
            return b""
        return rest

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > MAX_HELD_BYTES:
            self.transport.pause_reading()

    def _refuse_head(self) -> None:
        self._expect_nothing()
        self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    # --- called by the parser ---

    def on_headers_complete(self) -> None:
        self._head_bytes, self._tail, self._in_body = 0, b"", True
        self._upgrade_asked = any(name == b"upgrade" for name, _ in self.headers)
        target, self.url = self.url, b"/"  # uvicorn's own parser would read `//api2` as a host
        super().on_headers_complete()
        path, _, query = target.partition(b"?")
        # uvicorn has made a task for the request, which begins to run after this.
        self.scope["path"] = urllib.parse.unquote(path.decode("latin-1"))
        self.scope["raw_path"] = path
        self.scope["query_string"] = query
        if self._upgrade_asked and self.scope["http_version"] == "1.1":
            self.scope["extensions"] = {EXTENSION: self._take_over}  # type: ignore[dict-item]

    def on_message_complete(self) -> None:
        self._in_body = False
        self._wants_upgrade = self._upgrade_asked
        self._expect_nothing()
        super().on_message_complete()

    # --- called when an answer is complete ---

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._wants_upgrade and not self.transport.is_closing():
            self._wants_upgrade = False
            self.loop.call_soon(self._release)  # later: uvicorn is in the middle of ending the answer

    def _release(self) -> None:
        """The upgrade was refused: what was held back is HTTP/1.1 after all."""
        held, self._held = self._held, b""
        self.transport.resume_reading()
        self._take(held)

    # --- the way out ---

    async def _take_over(self, headers: Headers) -> TlsLink:
        """Answer the current request with 101 and give the connection away; nothing more may be sent on it afterwards.

        headers: besides `date` and `connection`. Raises LinkClosed when the client is gone.
        """
        if not self._wants_upgrade or self.cycle.response_started:
            raise LinkClosed("the request has been answered already", clean=True)
        link = await self.transport.detach(self._held, self._switching(headers))
        self._held = b""
        self._leave()
        return link

    def _switching(self, headers: Headers) -> bytes:
        date = formatdate(self._now(), usegmt=True).encode()
        fields = [(b"connection", b"upgrade"), *headers, (b"date", date)]
        return b"HTTP/1.1 101 Switching Protocols\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"

    def _leave(self) -> None:
        """Uvicorn's view: the client is gone, so nobody waits for an answer."""
        self._expect_nothing()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    # --- slow peers ---

    def _expect_by(self, seconds: float) -> None:
        self._expect_nothing()
        self._watch = self.loop.call_later(seconds, self._too_slow)

    def _expect_nothing(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _too_slow(self) -> None:
        self._watch = None
        if not self.transport.is_closing():
            self.transport.close()


def http1_config(app: Any, *, keep_alive_s: float) -> Config:
    """What uvicorn's protocol wants to know."""
    config = Config(
        app,
        http=Http1Protocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(keep_alive_s),
    )
    config.load()
    return config
