"""The requests of a client connection that wait for their answers, with the windows they share. No I/O.

Source: RFC 9113 §5.1.2, §5.2, §6.8. Waiting happens here and nowhere else: for a free stream, and for room in the windows. Whoever waits is
woken when the connection ends.
"""

from __future__ import annotations

import threading

from platevault.errors import PlatevaultError
from platevault.wire.http2 import frames
from platevault.wire.http2.call import Call, ConnectionLost
from platevault.wire.http2.frames import ConnectionFault, ErrorCode
from platevault.wire.http2.windows import SendWindow

MAX_IN_FLIGHT = 190  # below the 200 of the reference server
ASSUMED_STREAMS = 100  # until the server's SETTINGS arrive


class Calls:
    """Thread-safe. `_state` guards everything in it."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._calls: dict[int, Call] = {}
        self._next_stream = 1
        self._window = SendWindow(frames.DEFAULT_WINDOW)
        self._initial_window = frames.DEFAULT_WINDOW
        self._frame_bytes = frames.DEFAULT_FRAME_BYTES
        self._max_streams = ASSUMED_STREAMS
        self._leaving: str | None = None  # the server takes no more requests
        self._failure: Exception | None = None

    def open(self, max_bytes: int) -> tuple[int, Call]:
        """A stream for a new request; waits while too many are in flight. Raises ConnectionLost."""
        with self._state:
            while self._is_open() and len(self._calls) >= min(self._max_streams, MAX_IN_FLIGHT):
                self._state.wait()
            if not self._is_open():
                raise self._lost() from self._failure
            stream_id, self._next_stream = self._next_stream, self._next_stream + 2
            call = self._calls[stream_id] = Call(SendWindow(self._initial_window), max_bytes)
            return stream_id, call

    def _is_open(self) -> bool:
        return self._failure is None and self._leaving is None

    def take_window(self, call: Call, wanted: int) -> int:
        """Bytes that may go out now, at least 1; waits for the server. 0 when the call is over already."""
        with self._state:
            while self._failure is None and call.sending and min(call.window.left, self._window.left) <= 0:
                self._state.wait()
            if self._failure is not None or not call.sending:
                return 0
            size = min(wanted, call.window.left, self._window.left, self._frame_bytes)
            call.window.left -= size
            self._window.left -= size
            return size

    def get(self, stream_id: int) -> Call | None:
        """None when the request is over: its answer was complete, it was cancelled, or the connection has ended."""
        return self._calls.get(stream_id)

    def apply_settings(self, payload: memoryview) -> None:
        """Take over the server's settings. Raises ConnectionFault for impossible ones."""
        with self._state:
            for name, value in frames.parse_settings(payload):
                if name == frames.SETTING_MAX_FRAME_SIZE:
                    self._frame_bytes = min(value, frames.MAX_FRAME_BYTES)
                elif name == frames.SETTING_MAX_CONCURRENT_STREAMS:
                    self._max_streams = max(1, value)
                elif name == frames.SETTING_INITIAL_WINDOW_SIZE:
                    change, self._initial_window = value - self._initial_window, value
                    for call in self._calls.values():
                        call.grant(change)
            self._state.notify_all()

    def grant(self, stream_id: int, increment: int) -> None:
        """More room for one request, or for all with 0. Raises ConnectionFault when the sum is out of range."""
        with self._state:
            call = self._calls.get(stream_id)
            if call is not None:
                call.grant(increment)
            elif stream_id == 0 and not self._window.grant(increment):
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window")
            self._state.notify_all()

    def end(self, stream_id: int, error: PlatevaultError | None = None) -> None:
        """Settle one request, with its answer or with `error`. Who drops the connection at the same moment may have done it already."""
        with self._state:
            call = self._calls.pop(stream_id, None)
            if call is not None:
                call.sending = False
            self._state.notify_all()
        if call is None:
            return
        if error is None:
            call.complete()
        else:
            call.fail(error)

    def end_after(self, last: int, code: int) -> None:
        """The server takes no more requests, and of those sent only the ones up to `last`."""
        with self._state:
            self._leaving = f"the server ends the connection (HTTP/2 code {code})"
            dropped = [self._calls.pop(number) for number in list(self._calls) if number > last]
            self._settle(dropped)

    def fail(self, error: Exception) -> None:
        """The connection has ended: settle all requests, refuse new ones. The first reason stays."""
        with self._state:
            self._failure = self._failure or error
            calls, self._calls = list(self._calls.values()), {}
            self._settle(calls)

    def _settle(self, calls: list[Call]) -> None:
        for call in calls:
            call.sending = False
        self._state.notify_all()
        error = self._lost()
        for call in calls:
            call.fail(error)

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"connection to the server lost: {self._leaving or self._failure}")
