"""Backup and reader sessions that run in this process: each has a thread, and a graceful stop waits for them for a bounded time.

A session has left the event loop with its socket, so nothing else knows of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from platevault.clock import Clock

ABORT_TIMEOUT_S = 10.0  # a session that was told to stop only has to remove its snapshot directory


class Sessions:
    """`_changed` guards the table of running sessions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._running: dict[threading.Thread, Callable[[], None]] = {}

    def start(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        """Run a session in a thread of its own. stop: may be called from any thread and makes `run` return soon."""
        thread = threading.Thread(target=self._run, args=(run,), name=name, daemon=True)
        with self._changed:
            self._running[thread] = stop
        thread.start()

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            with self._changed:
                self._running.pop(threading.current_thread(), None)
                self._changed.notify_all()

    def count(self) -> int:
        """How many run."""
        with self._changed:
            return len(self._running)

    def drain(self, timeout_s: float) -> int:
        """Let running sessions end for at most so long, then abort the others; returns how many were aborted."""
        self._wait(timeout_s)
        aborted = self.abort()
        self._wait(ABORT_TIMEOUT_S)
        return aborted

    def abort(self) -> int:
        """Tell all running sessions to stop, and return at once; how many were told."""
        with self._changed:
            left = list(self._running.values())
        for stop in left:
            stop()
        return len(left)

    def _wait(self, timeout_s: float) -> None:
        until = self._clock.monotonic() + timeout_s
        with self._changed:
            while self._running and (left := until - self._clock.monotonic()) > 0:
                self._changed.wait(left)
