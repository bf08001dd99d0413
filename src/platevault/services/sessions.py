"""Backup and reader sessions that run in this process: each has a thread, and a graceful stop waits for them for a bounded time.

A session has left the event loop with its socket, so nothing else knows of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from platevault.clock import Clock
from platevault.errors import Unavailable

ABORT_TIMEOUT_S = 10.0  # a session that was told to stop only has to remove its snapshot directory


class Sessions:
    """`_changed` guards the table of running sessions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._running: dict[threading.Thread, Callable[[], None]] = {}

    def start(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        """Run a session in a thread of its own. stop: may be called from any thread and makes `run` return soon. Raises Unavailable."""
        thread = threading.Thread(target=self._run, args=(run,), name=name, daemon=True)
        with self._changed:
            self._running[thread] = stop
        try:
            thread.start()
        except RuntimeError as error:  # the system allows no more threads
            self._forget(thread)
            raise Unavailable(f"cannot start a session: {error}") from error

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._changed:
            self._running.pop(thread, None)
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


class StopSwitch:
    """Stops a session that may not have its connection yet. `_lock` protects what is to be done; `stop` works from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._action: Callable[[], None] | None = None

    def stop(self) -> None:
        """Stop now, or as soon as `connect` is called."""
        with self._lock:
            self._stopped = True
            action = self._action
        if action is not None:
            action()

    def connect(self, action: Callable[[], None]) -> None:
        """Tell how to stop. Called at once when a stop was asked for already."""
        with self._lock:
            self._action = action
            stopped = self._stopped
        if stopped:
            action()
