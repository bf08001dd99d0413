"""A few threads for the work on chunks, with a bound in bytes on what waits for them.

Reading, hashing, compressing, encrypting, sending and receiving happen in C or in the kernel with the interpreter lock released, so that
two or three threads use as many cores. Memory is bounded by `MAX_WAITING_BYTES` and not by a count: chunks have 1 byte to 16 MiB.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

MAX_WAITING_BYTES = 64 * 1024 * 1024  # four of the largest chunks
MAX_THREADS = 8
T = TypeVar("T")


def thread_count() -> int:
    """One more than there are cores: at any moment one thread waits for the disk or the network."""
    return min(MAX_THREADS, (os.cpu_count() or 1) + 1)


class Workers:
    """Runs jobs in the order they were given. `_space` guards the bytes that wait or are being worked on."""

    def __init__(self, *, threads: int | None = None, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._pool = ThreadPoolExecutor(threads or thread_count(), thread_name_prefix="chunk-worker")
        self._space = threading.Condition()
        self._free = self._max = max_bytes
        self._stopped = False

    def submit(self, weight: int, job: Callable[[], T]) -> Future[T]:
        """Run `job` soon; waits while more than the bound is on its way. weight: bytes that the job holds until it ends."""
        weight = min(weight, self._max)
        with self._space:
            while self._free < weight and not self._stopped:
                self._space.wait()
            self._free -= weight
        future = self._pool.submit(job)
        future.add_done_callback(lambda _: self._release(weight))
        return future

    def _release(self, weight: int) -> None:
        with self._space:
            self._free += weight
            self._space.notify_all()

    def stop(self, *, drop: bool = False) -> None:
        """Wait for the jobs that run; drop: forget those that wait."""
        with self._space:
            self._stopped = True
            self._space.notify_all()
        self._pool.shutdown(wait=True, cancel_futures=drop)
