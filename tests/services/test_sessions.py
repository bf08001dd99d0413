"""The table of running sessions, and the switch that stops one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from platevault.clock import ManualClock, SystemClock
from platevault.errors import Unavailable
from platevault.services.sessions import Sessions, StopSwitch

WAIT_S = 30.0


def waiting_for(event: threading.Event) -> Callable[[], None]:
    def run() -> None:
        event.wait(WAIT_S)

    return run


def test_sessions_are_counted_and_waited_for() -> None:
    sessions, go = Sessions(ManualClock()), threading.Event()
    for _ in range(2):
        sessions.start("one", waiting_for(go), go.set)
    assert sessions.count() == 2
    go.set()
    assert sessions.drain(WAIT_S) == 0
    assert sessions.count() == 0


def test_sessions_that_do_not_end_are_stopped() -> None:
    sessions, stopped = Sessions(SystemClock()), threading.Event()
    sessions.start("one", waiting_for(stopped), stopped.set)
    assert sessions.drain(0.0) == 1
    assert stopped.is_set()
    assert sessions.count() == 0


def test_a_session_that_fails_is_over() -> None:
    sessions = Sessions(ManualClock())
    hook, threading.excepthook = threading.excepthook, lambda args: None
    try:
        sessions.start("one", lambda: [][1], lambda: None)
        assert sessions.drain(WAIT_S) == 0
    finally:
        threading.excepthook = hook


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sessions = Sessions(ManualClock())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Unavailable, match="new thread"):
        sessions.start("one", lambda: None, lambda: None)
    assert sessions.count() == 0


def test_a_stop_before_there_is_something_to_stop() -> None:
    switch, calls = StopSwitch(), list[str]()
    switch.stop()
    switch.connect(lambda: calls.append("stopped"))
    assert calls == ["stopped"]


def test_a_stop_afterwards() -> None:
    switch, calls = StopSwitch(), list[str]()
    switch.connect(lambda: calls.append("stopped"))
    assert calls == []
    switch.stop()
    assert calls == ["stopped"]
