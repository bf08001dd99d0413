"""One run for all who ask at the same time: lists that many clients poll are made once, and yet never older than the question.

Whoever comes while a run is under way may not have its result, because it may have missed what the caller just did. It waits for
the next run, together with everybody else who came meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

V = TypeVar("V")


class SharedRuns(Generic[V]):
    """Runs by key. `_lock` protects the two tables; at most one run of a key is under way and one is to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[V]] = {}
        self._next: dict[Hashable, Future[V]] = {}

    def result(self, key: Hashable, make: Callable[[], V]) -> V:
        """What `make` of one of the callers gives, begun after this call; raises what it raises. The value is shared."""
        with self._lock:
            planned = self._next.get(key)
            before = self._running.get(key)
            if planned is None:
                mine = self._next[key] = Future()
        if planned is not None:
            return planned.result()
        if before is not None:
            wait([before])
        return self._run(key, mine, make)

    def _run(self, key: Hashable, mine: Future[V], make: Callable[[], V]) -> V:
        with self._lock:
            self._running[key] = mine
            del self._next[key]
        try:
            value = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(value)
            return value
        finally:
            with self._lock:
                if self._running.get(key) is mine:
                    del self._running[key]
