"""How full the datastores are, and when they will be: samples of their file systems, and the line through them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from platevault.clock import Clock
from platevault.services.series import TIMEFRAMES, Series
from platevault.store.datastore import Space

WINDOW = "month"
FEWEST_SAMPLES = 7


class Usage:
    """The history of all datastores, computed once for each sample: a month has 1441 slots. `_lock` protects what is remembered."""

    def __init__(self, series: Series, clock: Clock) -> None:
        self._series, self._clock = series, clock
        self._lock = threading.Lock()
        self._key: tuple[int, int] = (-1, -1)
        self._known: dict[str, dict[str, Any]] = {}

    def history(self, store: str) -> dict[str, Any]:
        """See `history`. The value is shared: it must not be changed."""
        now = self._clock.now()
        key = (self._series.version, int(now) // TIMEFRAMES[WINDOW][0])
        with self._lock:
            if key != self._key:
                self._key, self._known = key, {}
            found = self._known.get(store)
            if found is None:
                found = self._known[store] = history(self._series, store, now)
            return found


def series_name(store: str) -> str:
    return f"datastore/{store}"


def space_fields(space: Space) -> dict[str, float]:
    """The fields of a datastore's curves."""
    return {"total": float(space.total), "used": float(space.used), "available": float(space.available)}


def history(series: Series, store: str, now: float) -> dict[str, Any]:
    """The fields of the record UsageItem that come from the curves; the date is left out when too little is known."""
    items = series.window(series_name(store), WINDOW, now)
    points = [_share(item) for item in items]
    start, delta = int(items[0]["time"]), TIMEFRAMES[WINDOW][0]
    found: dict[str, Any] = {"history": points, "history-start": start, "history-delta": delta}
    date = full_date([(start + number * delta, share) for number, share in enumerate(points) if share is not None])
    return found if date is None else {**found, "estimated-full-date": date}


def full_date(points: Sequence[tuple[float, float]]) -> int | None:
    """When the line through (time, share in use) reaches 1, in seconds since the epoch; 0: never, as it is level.

    A line that falls reached it in the past. None with fewer than 7 points, as then it says nothing.
    """
    if len(points) < FEWEST_SAMPLES:
        return None
    count = len(points)
    mean_time, mean_share = sum(at for at, _ in points) / count, sum(share for _, share in points) / count
    spread = sum((at - mean_time) ** 2 for at, _ in points)
    slope = sum((at - mean_time) * (share - mean_share) for at, share in points) / spread
    if abs(slope) < 1e-15:  # less than a millionth in thirty years
        return 0
    return max(1, int(mean_time + (1.0 - mean_share) / slope))


def _share(item: dict[str, float]) -> float | None:
    if "used" not in item:
        return None
    whole = item["used"] + item.get("available", 0.0)
    return item["used"] / whole if whole else None
