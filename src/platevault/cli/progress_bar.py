"""A bar on the terminal with rate and remaining time, fed from several threads."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

DRAWS_PER_SECOND = 5


class ProgressBar:
    """One archive at a time. `_lock` guards the count between two drawings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Progress | None = None

    def begin(self, name: str, total_bytes: int | None) -> None:
        """Draw a new bar; without a total it shows amount and rate only."""
        self.end()
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=DRAWS_PER_SECOND)
        self._task = self._bar.add_task(name, total=total_bytes)
        self._bar.start()

    def advance(self, size: int) -> None:
        """Count bytes; the bar draws itself in a thread of its own."""
        with self._lock:
            if self._bar is not None:
                self._bar.advance(self._task, size)

    def end(self) -> None:
        """Leave the last state on the screen."""
        with self._lock:
            bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()
