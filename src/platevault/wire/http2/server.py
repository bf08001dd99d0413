"""The server side of one HTTP/2 connection, run by one blocking thread until the connection ends.

Source: RFC 9113; settings, limits and tolerated peculiarities from spec wire-protocol §1, §2.8, §3.12. Rules:

* handlers run in this thread, one after the other; several requests are open at a time and their bodies interleave;
* windows are given back as bytes are consumed, so a peer that interleaves many streams never waits for ever;
* reading pauses while more than MAX_BACKLOG_BYTES wait to be sent: a peer that does not read cannot make us grow;
* there is no idle timeout (live restores are silent for hours); TCP keepalive finds dead peers.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import select
from enum import Enum
from itertools import count

from platevault.clock import Clock
from platevault.wire.http2 import frames
from platevault.wire.http2.dispatch import Dispatcher
from platevault.wire.http2.frames import PREFACE, ConnectionFault, ErrorCode, FrameScanner
from platevault.wire.http2.lanes import Lane
from platevault.wire.http2.message import Handler, Response
from platevault.wire.link import LinkClosed, TlsLink

BUFFER_BYTES = 1024 * 1024 + frames.MAX_CONTROL_BYTES
MAX_BACKLOG_BYTES = 4 * 1024 * 1024
LOW_BACKLOG_BYTES = 1024 * 1024
LINGER_S = 1.0  # a peer that was told to go has this long to read why

log = logging.getLogger(__name__)


class End(Enum):
    """How a connection ended."""

    CLEAN = "closed by the peer"
    RESET = "connection lost"
    PROTOCOL_ERROR = "protocol error of the peer"
    STOPPED = "stopped"


class ServerConnection:
    """`run` serves until the end; `stop` may be called from any thread. Everything else belongs to the running thread."""

    def __init__(self, link: TlsLink, handler: Handler, *, clock: Clock) -> None:
        self._link = link
        self._monotonic = clock.monotonic
        self._dispatcher = Dispatcher(handler, link.queue, self._delay, clock.now)
        self._scanner = FrameScanner(self._dispatcher)
        self._delayed: list[tuple[float, int, int, Response]] = []
        self._ticket = count()
        self._stopped = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0
        self._preface_left = len(PREFACE)
        self.reason = ""

    def stop(self) -> None:
        """End the connection soon; `run` returns End.STOPPED."""
        self._stopped = True
        with contextlib.suppress(OSError):  # full pipe: it is awake; closed: it has ended
            os.write(self._wake_write, b"x")

    def run(self) -> End:
        """Serve until the connection ends. Never raises; `reason` tells why in words. The link is closed on return."""
        self._link.set_blocking(False)
        try:
            end = self._serve()
        except LinkClosed as error:
            self.reason = error.message
            end = End.CLEAN if error.clean else End.RESET
        except ConnectionFault as error:
            self.reason = error.message
            end = End.PROTOCOL_ERROR
            self._say_goodbye(error.code)
        finally:
            self._dispatcher.close()
            self._link.close()
            os.close(self._wake_read)
            wake, self._wake_write = self._wake_write, -1
            os.close(wake)
        return end

    def _serve(self) -> End:
        self._dispatcher.open()
        self._receive()  # what came together with the upgrade request is in the BIO, no event tells of it
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        poller.register(self._link.fileno(), select.POLLIN)
        while not self._stopped:
            drained = self._send_what_fits()
            if self._dispatcher.is_finished():
                self._link.shutdown_sending()
                return End.CLEAN
            events = select.POLLOUT if not drained else 0
            if self._link.backlog_bytes < MAX_BACKLOG_BYTES:
                events |= select.POLLIN
            poller.modify(self._link.fileno(), events)
            for descriptor, event in poller.poll(self._poll_ms()):
                if descriptor != self._wake_read and event & ~select.POLLOUT:
                    self._receive()
            self._answer_delayed()
        self.reason = "stopped"
        return End.STOPPED

    def _send_what_fits(self) -> bool:
        """Send until the socket is full or nothing may go out; True when nothing is left waiting for the socket."""
        while True:
            if not self._link.flush() and self._link.backlog_bytes > LOW_BACKLOG_BYTES:
                return False
            if not self._dispatcher.outbox.pump():
                return self._link.flush()

    def _receive(self) -> None:
        """Read, decrypt and handle until nothing more is there at the moment, at most a few rounds for fairness to answers."""
        for _ in range(4):
            with Lane():
                got = self._link.receive_ready(self._buffer[self._filled :])
                if not got:
                    return
                self._filled += got
                self._scan()

    def _scan(self) -> None:
        view = self._buffer[: self._filled]
        taken = self._check_preface(view) if self._preface_left else 0
        if not self._preface_left:
            taken += self._scanner.scan(view[taken:])
        rest = self._filled - taken
        if taken and rest:
            self._buffer[:rest] = self._buffer[taken : self._filled]
        self._filled = rest

    def _check_preface(self, view: memoryview) -> int:
        have = min(len(view), self._preface_left)
        start = len(PREFACE) - self._preface_left
        if view[:have] != PREFACE[start : start + have]:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "not the HTTP/2 preface")
        self._preface_left -= have
        return have

    def _delay(self, stream_id: int, response: Response) -> None:
        heapq.heappush(self._delayed, (self._monotonic() + response.delay_s, next(self._ticket), stream_id, response))

    def _answer_delayed(self) -> None:
        while self._delayed and self._delayed[0][0] <= self._monotonic():
            _, _, stream_id, response = heapq.heappop(self._delayed)
            self._dispatcher.answer(stream_id, response)

    def _poll_ms(self) -> int | None:
        if not self._delayed:
            return None
        return max(1, int((self._delayed[0][0] - self._monotonic()) * 1000) + 1)

    def _say_goodbye(self, code: ErrorCode) -> None:
        """GOAWAY, then wait a moment for the peer to read it: closing with unread input would reset the connection."""
        try:
            self._link.queue(frames.goaway_frame(self._dispatcher.last_stream_id, code))
            self._link.shutdown_sending()
            poller = select.poll()
            poller.register(self._link.fileno(), select.POLLIN)
            until = self._monotonic() + LINGER_S
            while (left := until - self._monotonic()) > 0 and poller.poll(left * 1000):
                self._link.receive_ready(self._buffer)
        except (LinkClosed, OSError):
            pass
