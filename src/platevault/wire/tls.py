"""TLS under an asyncio protocol, built so that a live connection can leave the event loop.

Source: design §5, spec wire-protocol §2.1. asyncio's own TLS never gives its state away; here it is an `SSLObject` over two memory
BIOs, which a `TlsLink` in a thread can go on using. Below: the transport of the loop with ciphertext. Above: an ordinary protocol that
gets a `TlsTransport`. Memory is bounded: reading pauses when the protocol above asks for it, and its `pause_writing` is called
while the peer does not take what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from platevault.wire import plain_http
from platevault.wire.certificates import ContextSource
from platevault.wire.link import LinkClosed, TlsLink

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 30.0  # a peer that does not read what we said last is dropped after this
DRAIN_TIMEOUT_S = 30.0
DRAIN_STEP_S = 0.005
DECRYPT_BYTES = 64 * 1024

log = logging.getLogger(__name__)

ProtocolFactory = Callable[[], asyncio.Protocol]


class TlsProtocol(asyncio.Protocol):
    """One connection below TLS. Everything runs in the event loop, so there is no lock."""

    def __init__(self, contexts: ContextSource, above: ProtocolFactory, *, ended: Callable[[TlsProtocol], None]) -> None:
        """contexts: asked once a connection. above: makes the protocol that gets the plain bytes. ended: told when it is over."""
        self._loop = asyncio.get_running_loop()
        self._contexts, self._make_above, self._ended = contexts, above, ended
        self._transport: asyncio.Transport | None = None
        self._above: asyncio.Protocol | None = None
        self._first = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = self._closing = self._gone = False

    # --- called by the loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            data = self._begin(data)
        if data and self._tls is not None:
            self._incoming.write(data)
            self._advance()

    def eof_received(self) -> bool:
        """The peer sends no more; a TLS peer that says so without close_notify is done as well."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if not self._gone:
            self._gone = True
            self._ended(self)
            if self._above is not None:
                self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # --- the beginning ---

    def _begin(self, data: bytes) -> bytes:
        """Find out whether this is TLS; returns what is to be decrypted."""
        self._first += data
        match plain_http.is_tls(self._first):
            case True:
                self._tls = self._contexts().wrap_bio(self._incoming, self._outgoing, server_side=True)
                first, self._first = self._first, b""
                return first
            case False:
                self._answer_plainly()
        return b""

    def _answer_plainly(self) -> None:
        answer = plain_http.answer(self._first)
        if answer is not None and self._transport is not None and not self._closing:
            self._closing = True
            self._transport.write(answer)
            self._transport.close()

    def _advance(self) -> None:
        """Go on with the handshake, or decrypt."""
        assert self._tls is not None
        if self._above is None and not self._shake_hands():
            return
        self._decrypt()

    def _shake_hands(self) -> bool:
        """True when the handshake is complete."""
        assert self._tls is not None
        assert self._transport is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            log.debug("TLS handshake failed: %s", error)
            self._flush()  # the alert tells the peer why
            self._transport.close()
            return False
        self._flush()
        self._stop_timer()
        self._above = self._make_above()
        self._above.connection_made(TlsTransport(self, self._transport))
        return True

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- bytes ---

    def _decrypt(self) -> None:
        assert self._tls is not None
        while not (self._paused or self._closing or self._gone):
            try:
                plain = self._tls.read(DECRYPT_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:  # includes the orderly end, SSLZeroReturnError
                log.debug("TLS connection ended: %s", error)
                self.close()
                return
            if not plain:
                self.close()
                return
            assert self._above is not None
            self._above.data_received(plain)
        self._flush()  # answers of the TLS layer itself, e.g. to a key update

    def _flush(self) -> None:
        if self._outgoing.pending and not self._gone and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._gone or self._tls is None:
            return
        view = memoryview(data)
        while len(view):
            try:
                view = view[self._tls.write(view) :]
            except ssl.SSLError as error:
                log.debug("TLS connection ended: %s", error)
                self.abort()
                return
        self._flush()

    def pause_reading(self) -> None:
        if not self._gone and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._gone and self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
            self._loop.call_soon(self._decrypt)  # later: the caller may be in the middle of its own data_received

    # --- the end ---

    @property
    def is_established(self) -> bool:
        """Whether the handshake is over."""
        return self._above is not None

    @property
    def is_closing(self) -> bool:
        return self._closing or self._gone

    def close(self) -> None:
        """Send what was written, then close_notify and FIN."""
        if self.is_closing or self._transport is None:
            return
        self._closing = True
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLError):  # the peer's own close_notify is not waited for
                self._tls.unwrap()
            self._flush()
        self._stop_timer()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)
        self._transport.close()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    async def detach(self, early: bytes, head: bytes) -> TlsLink:
        """Leave the loop: a link that owns the connection from now on, in a state for any thread.

        early: plain bytes that were received already and belong to what follows. head: plain bytes that the link sends first.
        Nothing is said to the peer, neither close_notify nor FIN. Raises LinkClosed when the peer is gone or does not take
        what was written before.
        """
        self.pause_reading()
        await self._drained()
        if self.is_closing or self._transport is None or self._tls is None:
            raise LinkClosed("the client is gone", clean=True)
        sock = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        self._gone = True
        link = TlsLink(sock, self._tls, self._incoming, self._outgoing, early=early)
        link.queue(head)
        self._transport.abort()  # closes the loop's own descriptor only; the connection lives on in the duplicate
        self._ended(self)
        return link

    async def _drained(self) -> None:
        """Wait until the kernel has taken what was written. Hardly ever waits: the peer had to read it before it could ask."""
        deadline = self._loop.time() + DRAIN_TIMEOUT_S
        while not self.is_closing and self._transport is not None and self._transport.get_write_buffer_size():
            if self._loop.time() > deadline:
                self.abort()
            await asyncio.sleep(DRAIN_STEP_S)


class TlsTransport(asyncio.Transport):
    """What the protocol above sees: a transport of plain bytes."""

    def __init__(self, tls: TlsProtocol, below: asyncio.Transport) -> None:
        super().__init__()
        self._tls, self._below = tls, below

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the connection below; `sslcontext` is true, which is how servers learn that this is https."""
        return True if name == "sslcontext" else self._below.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._tls.is_closing

    def close(self) -> None:
        self._tls.close()

    def abort(self) -> None:
        self._tls.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._tls.write(data)

    def pause_reading(self) -> None:
        self._tls.pause_reading()

    def resume_reading(self) -> None:
        self._tls.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        return False

    async def detach(self, early: bytes, head: bytes) -> TlsLink:
        """Leave the loop; see TlsProtocol.detach."""
        return await self._tls.detach(early, head)
