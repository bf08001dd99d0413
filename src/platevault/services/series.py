"""Time series in fixed room: samples are folded into slots of several lengths, the oldest slots fall out.

The lengths and how far they reach are those of the reference server (spec rest-api §10.17). Kept in memory and saved to a file now
and then: a crash costs some minutes of curves, nothing else.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

log = logging.getLogger(__name__)

RESOLUTIONS_S: dict[int, int] = {60: 1441, 1800: 1441, 21600: 1461, 604800: 571}  # slot length: slots that are kept
# Time frame of the API: slot length, number of steps.
TIMEFRAMES: dict[str, tuple[int, int]] = {
    "hour": (60, 60),
    "day": (60, 1440),
    "week": (1800, 336),
    "month": (1800, 1440),
    "year": (21600, 1460),
    "decade": (604800, 570),
}


@dataclass(slots=True)
class _Slot:
    """Of each field: number of samples, their sum, the largest."""

    fields: dict[str, list[float]] = field(default_factory=dict)

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            count, total, largest = self.fields.get(name, (0, 0.0, value))
            self.fields[name] = [count + 1, total + value, max(largest, value)]

    def values(self, *, largest: bool) -> dict[str, float]:
        return {name: (top if largest else total / count) for name, (count, total, top) in self.fields.items()}


class Series:
    """All series by name (`host`, `datastore/NAME`). One lock protects the slots; every call is short."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._slots: dict[str, dict[int, dict[int, _Slot]]] = {}
        self._version = 0
        if path is not None:
            self._load(path)

    def add(self, name: str, now: float, values: Mapping[str, float]) -> None:
        """Fold one sample into the slots of its time."""
        with self._lock:
            self._version += 1
            for length, kept in RESOLUTIONS_S.items():
                slots = self._slots.setdefault(name, {}).setdefault(length, {})
                start = int(now) // length * length
                slots.setdefault(start, _Slot()).add(values)
                for old in [at for at in slots if at <= start - kept * length]:
                    del slots[old]

    @property
    def version(self) -> int:
        """Grows with every sample: what was computed from a window is good for as long as it stays the same."""
        return self._version

    def window(self, name: str, timeframe: str, now: float, *, largest: bool = False) -> list[dict[str, float]]:
        """One item a step, oldest first, with `time` and the fields that were sampled then. largest: instead of the average."""
        length, steps = TIMEFRAMES[timeframe]
        last = int(now) // length * length
        with self._lock:
            slots = self._slots.get(name, {}).get(length, {})
            times = range(last - steps * length, last + 1, length)
            return [{"time": at, **(slots[at].values(largest=largest) if at in slots else {})} for at in times]

    def forget(self, names: Iterable[str]) -> None:
        """Drop series, e.g. of a removed datastore."""
        with self._lock:
            self._version += 1
            for name in names:
                self._slots.pop(name, None)

    def names(self) -> list[str]:
        with self._lock:
            return list(self._slots)

    def save(self) -> None:
        """Write everything to the file, whole or not at all. A failure is logged: the curves are not worth more."""
        if self._path is None:
            return
        with self._lock:
            record: dict[str, Any] = {
                name: {str(length): {str(at): slot.fields for at, slot in slots.items()} for length, slots in by_length.items()}
                for name, by_length in self._slots.items()
            }
        temporary = self._path.with_name(f".{self._path.name}.new")
        try:
            temporary.write_text(json.dumps(record, separators=(",", ":")), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError as error:
            log.warning("figures cannot be saved to '%s': %s", self._path, error.strerror)

    def _load(self, path: Path) -> None:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            self._slots = {
                name: {int(length): {int(at): _Slot(fields) for at, fields in slots.items()} for length, slots in by_length.items()}
                for name, by_length in record.items()
            }
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError):
            log.warning("figures in '%s' cannot be read, starting anew", path)
            self._slots = {}
