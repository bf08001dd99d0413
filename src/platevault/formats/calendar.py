"""Calendar events: when a job is due. `daily`, `mon..fri 22:00`, `*-*-01 03:00`, `*:0/15`, in local time or with the suffix ` UTC`.

Source: spec administration §6, vectors calendar.json. One difference to the reference server on purpose: an open repetition (`0/5:00`)
fires as it is written, as in systemd; the reference loses the first value of each cycle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from platevault.errors import Invalid

KEYWORDS = {
    "minutely": "*:*:00",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "mon 00:00",
    "monthly": "*-*-01 00:00",
    "quarterly": "*-01,04,07,10-01 00:00",
    "semiannually": "*-01,07-01 00:00",
    "semi-annually": "*-01,07-01 00:00",
    "yearly": "*-01-01 00:00",
    "annually": "*-01-01 00:00",
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST_YEAR = 2199
LIMITS = {"year": LAST_YEAR, "month": 12, "day": 31, "hour": 23, "minute": 59, "second": 59}
FIRST = {"month": 1, "day": 1}  # where `*/step` starts; the others start at 0

_DAY = "|".join(f"{name}|{name[:3]}" for name in DAYS)
_WEEKDAYS = re.compile(rf"(?P<days>(?:{_DAY})(?:\.\.(?:{_DAY}))?(?:,(?:{_DAY})(?:\.\.(?:{_DAY}))?)*) *", re.IGNORECASE)
_ITEM = r"\d+(?:\.\.\d+)?(?:/\d+)?(?!\d)"
_FIELD = rf"(?:\*(?:/\d+)?|{_ITEM}(?:,{_ITEM})*)"
_DATE = re.compile(rf"(?:(?P<year>{_FIELD})-)?(?P<month>{_FIELD})-(?P<day>{_FIELD}) *")
# Tried in this order: `24:00` is no time of day, and then it means minute 24, second 0 of every hour.
_TIMES = (
    re.compile(rf"(?P<hour>{_FIELD}):(?P<minute>{_FIELD})(?::(?P<second>{_FIELD}))?"),
    re.compile(rf"(?P<minute>{_FIELD})(?::(?P<second>{_FIELD}))?"),
)
_NUMBERS = re.compile(r"(?P<low>\d+)(?:\.\.(?P<high>\d+))?(?:/(?P<step>\d+))?")


class InvalidEvent(Invalid):
    """A text that is no calendar event. Fact: `text`."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """The values that each part of a moment may have, sorted. weekdays: 0 is Monday. utc: not in local time."""

    years: tuple[int, ...]
    months: tuple[int, ...]
    days: tuple[int, ...]
    weekdays: frozenset[int]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    utc: bool

    def next_after(self, last: int, zone: tzinfo) -> int | None:
        """The first occurrence after `last`, both in seconds since the epoch; None when there is none.

        A time that the clocks skip is left out; one that they show twice occurs once.
        """
        zone = UTC if self.utc else zone
        start = datetime.fromtimestamp(last, zone).replace(tzinfo=None)
        for day in self._dates(start.date()):
            for moment in self._times(start if day == start.date() else None):
                found = _epoch(datetime.combine(day, moment), zone, last)
                if found is not None:
                    return found
        return None

    def _dates(self, start: date) -> Iterator[date]:
        """Matching dates from `start` on."""
        day = start
        while day.year <= LAST_YEAR:
            if day.year not in self.years:
                year = next((year for year in self.years if year > day.year), None)
                if year is None:
                    return
                day = date(year, 1, 1)
            elif day.month not in self.months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            else:
                if day.day in self.days and day.weekday() in self.weekdays:
                    yield day
                day += timedelta(days=1)

    def _times(self, after: datetime | None) -> Iterator[time]:
        """Matching times of a day, after a moment when there is one."""
        bound = (after.hour, after.minute, after.second) if after else (-1, -1, -1)
        for hour in self.hours:
            for minute in self.minutes if hour >= bound[0] else ():
                for second in self.seconds if (hour, minute) >= bound[:2] else ():
                    if (hour, minute, second) > bound:
                        yield time(hour, minute, second)


def _epoch(moment: datetime, zone: tzinfo, last: int) -> int | None:
    """The moment in this zone, None when its clocks do not show it or it is not after `last`."""
    for fold in (0, 1):
        local = moment.replace(tzinfo=zone, fold=fold)
        found = int(local.timestamp())
        if found > last and datetime.fromtimestamp(found, zone).replace(tzinfo=None) == moment:
            return found
    return None


def parse(text: str) -> CalendarEvent:
    """Raises InvalidEvent."""
    utc = text.endswith("UTC")
    body = text.removesuffix("UTC")
    if utc and body.rstrip(" ") in KEYWORDS:
        body = body.rstrip(" ")
    body = KEYWORDS.get(body, body.rstrip(" ") if utc else body)
    try:
        return _event(body, utc=utc)
    except ValueError:
        raise InvalidEvent(f"unable to parse calendar event '{text[:128]}'", text=text) from None


def _event(body: str, *, utc: bool) -> CalendarEvent:
    if not body:
        raise ValueError(body)
    weekdays, position = frozenset(range(7)), 0
    if match := _WEEKDAYS.match(body):
        weekdays, position = _weekdays(match["days"]), match.end()
    fields: dict[str, tuple[int, ...]] = {}
    if match := _DATE.match(body, position):
        fields |= _fields(match)
        position = match.end()
    if position < len(body):
        fields |= _time_fields(body, position)
    return CalendarEvent(
        years=fields.get("year", _every("year")),
        months=fields.get("month", _every("month")),
        days=fields.get("day", _every("day")),
        weekdays=weekdays,
        hours=fields.get("hour", _every("hour") if "minute" in fields else (0,)),
        minutes=fields.get("minute", (0,)),
        seconds=fields.get("second", (0,)),
        utc=utc,
    )


def _time_fields(body: str, position: int) -> dict[str, tuple[int, ...]]:
    for pattern in _TIMES:
        if match := pattern.fullmatch(body, position):
            try:
                return _fields(match)
            except ValueError:
                continue
    raise ValueError(body)


def _fields(match: re.Match[str]) -> dict[str, tuple[int, ...]]:
    return {name: _values(name, text) for name, text in match.groupdict().items() if text is not None}


def _values(name: str, text: str) -> tuple[int, ...]:
    """The numbers of a field. Raises ValueError for one out of range."""
    if text.startswith("*"):
        step = int(text[2:]) if len(text) > 1 else 1
        if not 1 <= step <= LIMITS[name]:
            raise ValueError(text)
        return tuple(range(FIRST.get(name, 0), LIMITS[name] + 1, step))
    return tuple(sorted({number for item in text.split(",") for number in _item(name, item)}))


def _item(name: str, text: str) -> Iterator[int]:
    match = _NUMBERS.fullmatch(text)
    if match is None:
        raise ValueError(text)
    low = int(match["low"])
    step = int(match["step"]) if match["step"] else None
    high = int(match["high"]) if match["high"] else (low if step is None else LIMITS[name])
    if not low <= high <= LIMITS[name] or (step or 0) > LIMITS[name]:
        raise ValueError(text)
    return iter(range(low, high + 1, step)) if step else iter(range(low, high + 1) if step is None else [low])


def _every(name: str) -> tuple[int, ...]:
    return tuple(range(FIRST.get(name, 0), LIMITS[name] + 1))


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in text.lower().split(","):
        first, _, last = item.partition("..")
        start = _day_number(first)
        end = _day_number(last) if last else start
        found |= {number % 7 for number in range(start, end + (7 if end < start else 0) + 1)}
    return frozenset(found)


def _day_number(text: str) -> int:
    return next(number for number, name in enumerate(DAYS) if name.startswith(text))
