"""One run for all who ask at the same time, and never one that began before the question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from platevault.errors import Unavailable
from platevault.services.shared_run import SharedRuns

TIMEOUT_S = 20


class Bench:
    """Counts runs; each waits until it is let go."""

    def __init__(self) -> None:
        self.runs: SharedRuns[int] = SharedRuns()
        self.count = 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def make(self) -> int:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.go.acquire(timeout=TIMEOUT_S)
        return number


class Announcing(dict[Hashable, Future[int]]):
    """Tells when the next run is planned."""

    def __init__(self, planned: threading.Event) -> None:
        super().__init__()
        self._planned = planned

    def __setitem__(self, key: Hashable, value: Future[int]) -> None:
        super().__setitem__(key, value)
        self._planned.set()


def in_threads(pool: ThreadPoolExecutor, ask: Callable[[], int], count: int) -> list[Future[int]]:
    return [pool.submit(ask) for _ in range(count)]


def test_those_who_come_meanwhile_share_the_next_run() -> None:
    bench, planned = Bench(), threading.Event()
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(bench.runs.result, "key", bench.make)
        assert bench.begun.acquire(timeout=TIMEOUT_S)
        bench.runs._next = Announcing(planned)
        later = in_threads(pool, lambda: bench.runs.result("key", bench.make), 10)
        assert planned.wait(TIMEOUT_S)
        bench.go.release()
        assert first.result(TIMEOUT_S) == 1
        assert bench.begun.acquire(timeout=TIMEOUT_S)
        for _ in range(20):
            bench.go.release()
        found = {future.result(TIMEOUT_S) for future in later}
    # All got a run that began after they came; who was late to ask may have needed one more.
    assert min(found) == 2
    assert bench.count == max(found) <= 12


def test_keys_do_not_wait_for_each_other() -> None:
    bench = Bench()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(bench.runs.result, "slow", bench.make)
        assert bench.begun.acquire(timeout=TIMEOUT_S)
        assert bench.runs.result("fast", lambda: 7) == 7
        bench.go.release()
        assert slow.result(TIMEOUT_S) == 1


def test_one_after_the_other_each_has_its_own() -> None:
    runs: SharedRuns[int] = SharedRuns()
    numbers = iter(range(10))
    assert [runs.result("key", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]
    assert (runs._running, runs._next) == ({}, {})


def test_a_failure_is_everybodys_and_passes() -> None:
    runs: SharedRuns[int] = SharedRuns()

    def fail() -> int:
        raise Unavailable("disk is gone")

    with pytest.raises(Unavailable):
        runs.result("key", fail)
    assert runs.result("key", lambda: 1) == 1
