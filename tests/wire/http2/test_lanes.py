"""Lanes are shared by few at a time, and nobody waits for one for ever."""

from __future__ import annotations

import threading

import pytest

from platevault.wire.http2 import lanes
from platevault.wire.http2.lanes import Lane


def test_who_finds_no_lane_goes_on_without_one_and_gives_none_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_free", threading.Semaphore(1))
    monkeypatch.setattr(lanes, "PATIENCE_S", 0.001)
    with Lane():
        with Lane():
            pass
        assert not lanes._free.acquire(blocking=False)
    assert lanes._free.acquire(blocking=False)


def test_a_failure_gives_the_lane_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_free", threading.Semaphore(1))
    with pytest.raises(OSError), Lane():
        raise OSError
    assert lanes._free.acquire(blocking=False)
