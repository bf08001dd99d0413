"""Which snapshots of a group stay: the retention rules, as a pure plan.

Source: spec administration §2.1-§2.3, vectors prune.json. Two marks matter beyond keep and remove: an unfinished snapshot newer
than everything else may be a running backup (`keep-partial`), a protected one stays whatever the rules say, and counts for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, tzinfo
from enum import StrEnum

from platevault.store.datastore import SnapshotEntry


class Mark(StrEnum):
    """What the rules say about a snapshot; the texts are those of the task log."""

    KEEP = "keep"
    KEEP_PARTIAL = "keep-partial"
    PROTECTED = "protected"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Retention:
    """How many periods of each kind keep a snapshot; None: the rule is not used."""

    last: int | None = None
    hourly: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None

    @property
    def keeps_all(self) -> bool:
        """True when nothing is asked for: then nothing is removed, whatever the marks say."""
        return not any(getattr(self, field.name) for field in fields(self))

    def flags(self) -> str:
        """The rules as options of a command line: `--keep-last 3 --keep-daily 7`."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return " ".join(f"--keep-{name} {number}" for name, number in given if number is not None)


@dataclass(frozen=True, slots=True)
class Decision:
    """One snapshot with its mark. `keep` is what happens: with no rule at all, everything stays in spite of its mark."""

    snapshot: SnapshotEntry
    mark: Mark
    keep: bool

    @property
    def protected(self) -> bool:
        return self.mark is Mark.PROTECTED


PeriodKey = Callable[[int, tzinfo], object]


def _local(pattern: str) -> PeriodKey:
    return lambda time, zone: datetime.fromtimestamp(time, zone).strftime(pattern)


def _exact(time: int, _: tzinfo) -> object:
    return time


# In this order, whatever the order of the request. Keys carry no UTC offset: the repeated hour at the end of summer time is one hour.
RULES: tuple[tuple[str, PeriodKey], ...] = (
    ("last", _exact),
    ("hourly", _local("%Y/%m/%d/%H")),
    ("daily", _local("%Y/%m/%d")),
    ("weekly", _local("%G/%V")),
    ("monthly", _local("%Y/%m")),
    ("yearly", _local("%Y")),
)


def plan_prune(snapshots: Iterable[SnapshotEntry], retention: Retention, *, zone: tzinfo) -> list[Decision]:
    """Decisions for all snapshots of one group, oldest first, which is the order of removal. zone: that of the server."""
    newest_first = sorted(snapshots, key=lambda entry: entry.name.time, reverse=True)
    marks = _mark_unfinished(newest_first)
    for name, key in RULES:
        number: int | None = getattr(retention, name)
        if number is not None:
            _apply(newest_first, marks, [key(entry.name.time, zone) for entry in newest_first], number)
    return [_decide(entry, mark, retention) for entry, mark in zip(reversed(newest_first), reversed(marks), strict=True)]


def _mark_unfinished(newest_first: Sequence[SnapshotEntry]) -> list[Mark | None]:
    marks: list[Mark | None] = [None if entry.finished else Mark.REMOVE for entry in newest_first]
    if newest_first and not newest_first[0].finished:
        marks[0] = Mark.KEEP_PARTIAL
    return marks


def _apply(newest_first: Sequence[SnapshotEntry], marks: list[Mark | None], keys: Sequence[object], number: int) -> None:
    """One rule: keep the newest snapshot of each of the first `number` periods that no earlier rule covers."""
    covered = {key for key, mark in zip(keys, marks, strict=True) if mark is Mark.KEEP}
    own: set[object] = set()
    for position, (entry, key) in enumerate(zip(newest_first, keys, strict=True)):
        if marks[position] is not None:
            continue
        if entry.protected:
            marks[position] = Mark.PROTECTED
        elif key in covered:
            continue
        elif key in own:
            marks[position] = Mark.REMOVE
        elif len(own) >= number:
            return
        else:
            own.add(key)
            marks[position] = Mark.KEEP


def _decide(entry: SnapshotEntry, mark: Mark | None, retention: Retention) -> Decision:
    final = Mark.PROTECTED if entry.protected else mark or Mark.REMOVE
    return Decision(entry, final, keep=retention.keeps_all or final is not Mark.REMOVE)
