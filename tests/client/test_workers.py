from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial

import pytest

from platevault.client.workers import Workers

TIMEOUT_S = 20.0


def free(workers: Workers) -> int:
    return workers._free


def test_jobs_run_and_give_their_results() -> None:
    workers = Workers(threads=3)
    pending = [workers.submit(1, partial(pow, number, 2)) for number in range(100)]
    assert [future.result(TIMEOUT_S) for future in pending] == [number**2 for number in range(100)]
    workers.stop()


def test_a_failure_is_in_its_future_only() -> None:
    workers = Workers(threads=1)
    broken = workers.submit(1, lambda: 1 // 0)
    fine = workers.submit(1, lambda: 1)
    with pytest.raises(ZeroDivisionError):
        broken.result(TIMEOUT_S)
    assert fine.result(TIMEOUT_S) == 1
    workers.stop()


def test_no_more_bytes_are_on_their_way_than_the_bound() -> None:
    workers, go = Workers(threads=2, max_bytes=100), threading.Event()
    accepted: list[Future[bool]] = []

    def submit_all() -> None:
        for weight in (60, 40, 60, 500, 10):
            accepted.append(workers.submit(weight, lambda: go.wait(TIMEOUT_S)))

    submitting = threading.Thread(target=submit_all)
    submitting.start()
    while free(workers):
        submitting.join(0.001)
    assert len(accepted) <= 2
    go.set()
    submitting.join(TIMEOUT_S)
    assert [future.result(TIMEOUT_S) for future in accepted] == [True] * 5
    workers.stop()
    assert free(workers) == 100, "also what is larger than the bound is given back"


def test_stop_waits_for_what_runs_and_drops_what_waits() -> None:
    workers, go, begun = Workers(threads=1), threading.Event(), threading.Event()

    def run() -> str:
        begun.set()
        go.wait(TIMEOUT_S)
        return "done"

    running, waiting = workers.submit(1, run), workers.submit(1, lambda: "never")
    begun.wait(TIMEOUT_S)
    stopping = threading.Thread(target=lambda: workers.stop(drop=True))
    stopping.start()
    go.set()
    stopping.join(TIMEOUT_S)
    assert running.result(0) == "done"
    assert waiting.cancelled()


def test_stop_wakes_who_waits_for_room() -> None:
    workers, go = Workers(threads=1, max_bytes=10), threading.Event()
    workers.submit(10, lambda: go.wait(TIMEOUT_S))
    failed: list[BaseException] = []

    def submit() -> None:
        try:
            workers.submit(10, lambda: None)
        except RuntimeError as error:
            failed.append(error)

    submitting = threading.Thread(target=submit)
    submitting.start()
    stopping = threading.Thread(target=lambda: workers.stop(drop=True))
    stopping.start()
    go.set()
    submitting.join(TIMEOUT_S)
    stopping.join(TIMEOUT_S)
    assert not submitting.is_alive()
