"""Lets about as many connections work at a time as there are cores.

Decryption, hashing and writing release the interpreter lock some hundred times for each MiB. With many connections at once the threads
would spend more time on handing that lock to each other than on their bodies (measured with 32 clients: see `scripts/bench ingest`). A
lane is a courtesy, no lock: whoever waits longer than `PATIENCE_S` goes on without one, so that a slow disk never stops the others.
"""

from __future__ import annotations

import os
import threading

PATIENCE_S = 0.05

_free = threading.Semaphore(max(2, os.cpu_count() or 1))


class Lane:
    """`with Lane():` around a piece of work of about a millisecond."""

    __slots__ = ("_taken",)

    def __enter__(self) -> None:
        self._taken = _free.acquire(timeout=PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        if self._taken:
            _free.release()
