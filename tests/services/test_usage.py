"""How full a datastore is and when it will be full (spec administration §10.6)."""

from __future__ import annotations

import pytest

from platevault.clock import ManualClock
from platevault.services.series import Series
from platevault.services.usage import Usage, full_date, history, series_name, space_fields
from platevault.store.datastore import Space

STEP = 1800
NOW = 1_718_000_000.0


def sample(series: Series, at: float, used: int, available: int) -> None:
    series.add(series_name("s1x"), at, space_fields(Space(used + available, used, available)))


def test_without_samples_there_is_a_window_of_nothing() -> None:
    found = history(Series(), "s1x", NOW)
    assert set(found) == {"history", "history-start", "history-delta"}
    assert (set(found["history"]), found["history-delta"]) == ({None}, STEP)
    assert found["history-start"] + STEP * (len(found["history"]) - 1) == NOW // STEP * STEP


def test_points_are_shares_of_what_can_be_used() -> None:
    series = Series()
    sample(series, NOW, 25, 75)
    sample(series, NOW - STEP, 0, 0)
    assert history(series, "s1x", NOW)["history"][-2:] == [None, 0.25]


@pytest.mark.parametrize(
    ("shares", "date"),
    [
        ([0.1] * 6, None),
        ([0.1 * number for number in range(1, 8)], 10),
        ([0.5] * 7, 0),
        ([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], -2),
    ],
    ids=["too few", "rising", "level", "falling"],
)
def test_the_date_is_where_the_line_reaches_the_top(shares: list[float], date: int | None) -> None:
    """The first share is at time 1000, each next one 100 later; `date` counts such steps from time 0."""
    found = full_date([(1000 + 100 * number, share) for number, share in enumerate(shares)])
    assert found == (None if date is None else 0 if date == 0 else pytest.approx(1000 + 100 * (date - 1), abs=1))


def test_a_falling_line_never_gives_zero() -> None:
    assert full_date([(number, 0.9 - 0.1 * number) for number in range(7)]) == 1


def test_history_is_computed_once_for_each_sample() -> None:
    series, clock = Series(), ManualClock(NOW)
    usage = Usage(series, clock)
    first = usage.history("s1x")
    assert usage.history("s1x") is first
    sample(series, NOW, 50, 50)
    second = usage.history("s1x")
    assert second["history"][-1] == 0.5
    clock.advance(STEP)
    assert usage.history("s1x")["history-start"] == second["history-start"] + STEP
    series.forget([series_name("s1x")])
    assert set(usage.history("s1x")["history"]) == {None}
