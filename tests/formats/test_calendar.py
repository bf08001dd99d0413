"""Calendar events against the vectors, and what must hold for every event."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats.calendar import InvalidEvent, parse

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "calendar" / "calendar.json").read_text())


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: f"{case['id']}-{case['event']}")
def test_next_occurrence(case: dict[str, Any]) -> None:
    found = parse(case["event"]).next_after(case["last"], ZoneInfo(case["timezone"]))
    if case["systemd"].startswith("differs"):  # the reference loses a value that the text names
        assert found is not None
        assert found < case["next"]
    else:
        assert found == case["next"]


@pytest.mark.parametrize("case", [case for case in VECTORS["chains"] if case["systemd"] == "same"], ids=lambda case: case["event"])
def test_chain_of_occurrences(case: dict[str, Any]) -> None:
    event, last, found = parse(case["event"]), case["last"], []
    for _ in case["next"]:
        last = event.next_after(last, ZoneInfo(case["timezone"]))
        found.append(last)
    assert found == case["next"]


@pytest.mark.parametrize("case", VECTORS["parse"], ids=lambda case: repr(case["event"]))
def test_which_texts_are_events(case: dict[str, Any]) -> None:
    if case["valid"]:
        parse(case["event"])
    else:
        with pytest.raises(InvalidEvent):
            parse(case["event"])


@given(st.text(st.sampled_from("0123456789*/-:., dailymonUTC"), max_size=24))
def test_any_text_is_an_event_or_our_error(text: str) -> None:
    try:
        event = parse(text)
    except InvalidEvent:
        return
    found = event.next_after(1_718_000_000, UTC)
    assert found is None or found > 1_718_000_000
