"""Time series in fixed room (spec rest-api §10.17)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from platevault.services.series import RESOLUTIONS_S, TIMEFRAMES, Series

NOW = 1_718_000_000.0


def test_a_slot_has_the_average_or_the_largest() -> None:
    series = Series()
    for value in (1.0, 2.0, 6.0):
        series.add("host", NOW, {"cpu": value})
    assert series.window("host", "hour", NOW)[-1] == {"time": NOW // 60 * 60, "cpu": 3.0}
    assert series.window("host", "hour", NOW, largest=True)[-1]["cpu"] == 6.0


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_windows_have_equal_steps_and_end_now(timeframe: str) -> None:
    length, steps = TIMEFRAMES[timeframe]
    times = [item["time"] for item in Series().window("host", timeframe, NOW)]
    assert times == [NOW // length * length - length * number for number in range(steps, -1, -1)]


def test_every_resolution_takes_every_sample() -> None:
    series = Series()
    series.add("host", NOW, {"cpu": 1.0})
    for timeframe in TIMEFRAMES:
        assert series.window("host", timeframe, NOW)[-1]["cpu"] == 1.0


def test_the_oldest_slots_fall_out() -> None:
    series = Series()
    kept = RESOLUTIONS_S[60]
    for number in range(kept + 10):
        series.add("host", NOW + 60 * number, {"cpu": 1.0})
    window = series.window("host", "day", NOW + 60 * (kept + 9))
    assert all("cpu" in item for item in window)
    assert "cpu" not in series.window("host", "hour", NOW)[-1]


def test_a_save_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    series = Series(path)
    series.add("host", NOW, {"cpu": 1.0})
    series.add("datastore/s1x", NOW, {"used": 2.0})
    series.save()
    again = Series(path)
    assert again.names() == ["host", "datastore/s1x"]
    assert again.window("host", "year", NOW) == series.window("host", "year", NOW)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 5}', '{"host": {"x": {}}}'])
def test_a_file_that_is_none_starts_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "figures.json"
    path.write_text(content)
    series = Series(path)
    assert series.names() == []
    series.add("host", NOW, {"cpu": 1.0})
    series.save()
    assert "host" in json.loads(path.read_text())


def test_a_failing_disk_costs_curves_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    series = Series(tmp_path / "none" / "figures.json")
    series.add("host", NOW, {"cpu": 1.0})
    series.save()
    assert "cannot be saved" in caplog.text
