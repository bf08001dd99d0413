"""Retention: every known case, and what must hold for all snapshots and rules."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats.names import GroupName, SnapshotName
from platevault.services.prune_plan import Decision, Mark, Retention, plan_prune
from platevault.store.datastore import SnapshotEntry

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "prune" / "prune.json").read_text())["cases"]
GROUP = GroupName.parse("vm/100")
KINDS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
HOUR = 3600

snapshots = st.lists(
    st.builds(
        lambda hours, finished, protected: SnapshotEntry(SnapshotName(GROUP, 1_700_000_000 + hours * HOUR), finished, protected),
        st.integers(0, 20_000),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=25,
    unique_by=lambda entry: entry.name.time,
)
retentions = st.builds(Retention, *[st.none() | st.integers(0, 5) for _ in KINDS])


def entry_of(item: dict[str, Any]) -> SnapshotEntry:
    return SnapshotEntry(SnapshotName(GROUP, item["time"]), not item.get("unfinished", False), item.get("protected", False))


def retention_of(case: dict[str, Any]) -> Retention:
    return Retention(**{option.removeprefix("keep-"): number for option, number in case["options"].items()})


def kept(decisions: list[Decision]) -> set[int]:
    return {decision.snapshot.name.time for decision in decisions if decision.keep}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['name']}")
def test_known_case(case: dict[str, Any]) -> None:
    retention = retention_of(case)
    decisions = plan_prune(map(entry_of, case["snapshots"]), retention, zone=ZoneInfo(case["timezone"]))
    assert retention.keeps_all == case["keep_all"]
    assert [(found.snapshot.name.time, found.mark.value, found.keep) for found in decisions] == [
        (item["time"], item["mark"], item["keep"]) for item in case["snapshots"]
    ]
    assert [found.protected for found in decisions] == [item.get("protected", False) for item in case["snapshots"]]


def test_no_case_was_lost() -> None:
    assert [case["id"] for case in CASES] == list(range(1, 76))


@given(snapshots, retentions, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(entries: list[SnapshotEntry], retention: Retention, random: Any) -> None:
    decisions = plan_prune(entries, retention, zone=UTC)
    assert [decision.snapshot for decision in decisions] == sorted(entries, key=lambda entry: entry.name.time)
    random.shuffle(entries)
    assert plan_prune(entries, retention, zone=UTC) == decisions


@given(snapshots, retentions)
def test_nothing_protected_and_nothing_running_is_removed(entries: list[SnapshotEntry], retention: Retention) -> None:
    decisions = plan_prune(entries, retention, zone=UTC)
    assert all(decision.keep for decision in decisions if decision.snapshot.protected)
    if decisions:
        newest = decisions[-1]
        assert newest.keep or newest.snapshot.finished
    for decision in decisions[:-1]:
        if not decision.snapshot.finished and not decision.snapshot.protected:
            assert decision.mark is Mark.REMOVE


@given(snapshots, st.sampled_from(KINDS), st.integers(1, 5))
def test_the_newest_usable_backup_stays(entries: list[SnapshotEntry], kind: str, number: int) -> None:
    usable = [entry.name.time for entry in entries if entry.finished and not entry.protected]
    found = kept(plan_prune(entries, Retention(**{kind: number}), zone=UTC))
    assert not usable or max(usable) in found


@given(snapshots, st.sampled_from(KINDS), st.integers(1, 5))
def test_a_larger_number_keeps_more(entries: list[SnapshotEntry], kind: str, number: int) -> None:
    few, many = (plan_prune(entries, Retention(**{kind: count}), zone=UTC) for count in (number, number + 1))
    assert kept(few) <= kept(many)
    assert sum(decision.mark is Mark.KEEP for decision in few) <= number


@given(snapshots, retentions)
def test_what_stays_would_stay_again(entries: list[SnapshotEntry], retention: Retention) -> None:
    """Pruning twice with the rules last and daily removes no more than pruning once."""
    simple = Retention(last=retention.last, daily=retention.daily)
    once = plan_prune(entries, simple, zone=UTC)
    left = [decision.snapshot for decision in once if decision.keep]
    assert kept(plan_prune(left, simple, zone=UTC)) == kept(once)


def test_nothing_asked_for_keeps_everything() -> None:
    assert Retention().keeps_all
    assert Retention(last=0, yearly=0).keeps_all
    assert not Retention(last=0, yearly=1).keeps_all


def test_no_snapshots_no_decisions() -> None:
    assert plan_prune([], Retention(last=1), zone=UTC) == []


def test_rules_as_options() -> None:
    assert Retention(last=3, yearly=0).flags() == "--keep-last 3 --keep-yearly 0"
    assert Retention().flags() == ""
