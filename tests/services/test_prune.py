"""A prune run: does what the plan says, in its order, and goes on when something cannot be removed."""

from __future__ import annotations

import errno
import os
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from kit.backups import DAY, NOON, backup, snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Aborted
from platevault.formats.names import ROOT, GroupName, Namespace, SnapshotName
from platevault.services.progress import Recorded
from platevault.services.prune import run_prune, run_prune_group
from platevault.services.prune_plan import Mark, Retention
from platevault.store.datastore import Datastore

HOST = GroupName.parse("host/a")
NAMES = [snapshot(time=NOON + day * DAY) for day in range(4)]
LAST_TWO = Retention(last=2)


@pytest.fixture
def store(tmp_path: Path) -> SparseDatastore:
    """A group of four snapshots."""
    store = sparse_store(tmp_path)
    for name in NAMES:
        backup(store, name)
    return store


def left(store: Datastore, group: GroupName = HOST, ns: Namespace = ROOT) -> list[SnapshotName]:
    return [entry.name for entry in reversed(store.snapshots(ns, group))]


def prune(store: Datastore, retention: Retention = LAST_TWO, task: Recorded | None = None, **options: Any) -> list[str]:
    task = task or Recorded()
    run_prune(store, ROOT, retention, task, zone=UTC, **options)
    return task.lines


def test_a_group(store: SparseDatastore) -> None:
    task = Recorded()
    decisions = run_prune_group(store, ROOT, HOST, LAST_TWO, task, zone=UTC)
    assert left(store) == NAMES[2:]
    assert [(decision.snapshot.name, decision.mark) for decision in decisions] == [
        (name, mark) for name, mark in zip(NAMES, [Mark.REMOVE, Mark.REMOVE, Mark.KEEP, Mark.KEEP], strict=True)
    ]
    assert task.lines == [
        "retention options: --keep-last 2",
        "Starting prune on datastore 'store', root namespace group \"host/a\"",
        f"{NAMES[0]} remove",
        f"{NAMES[1]} remove",
        f"{NAMES[2]} keep",
        f"{NAMES[3]} keep",
    ]


def test_a_datastore(store: SparseDatastore) -> None:
    assert prune(store) == [
        "Starting datastore prune on datastore 'store', root namespace, full recursion",
        "retention options: --keep-last 2",
        "Pruning group datastore 'store', root namespace:\"host/a\"",
        f"remove {NAMES[0]}",
        f"remove {NAMES[1]}",
        f"keep {NAMES[2]}",
        f"keep {NAMES[3]}",
    ]
    assert left(store) == NAMES[2:]


def test_a_dry_run_removes_nothing(store: SparseDatastore) -> None:
    lines = prune(store, dry_run=True)
    assert left(store) == NAMES
    assert lines[3:] == [f"would remove {name}" for name in NAMES[:2]] + [f"would keep {name}" for name in NAMES[2:]]


@pytest.mark.parametrize("retention", [Retention(), Retention(last=0), Retention(last=0, daily=0)])
def test_no_rule_keeps_everything(store: SparseDatastore, retention: Retention) -> None:
    assert "No prune selection - keeping all files." in prune(store, retention)
    task = Recorded()
    assert all(decision.keep for decision in run_prune_group(store, ROOT, HOST, retention, task, zone=UTC))
    assert task.lines[0] == "No prune selection - keeping all files."
    assert left(store) == NAMES


def test_protected_ones_stay_and_do_not_count(store: SparseDatastore) -> None:
    store.set_protected(ROOT, NAMES[0], True)
    store.set_protected(ROOT, NAMES[3], True)
    lines = prune(store)
    assert left(store) == NAMES
    assert lines[3:] == [
        f"keep protected {NAMES[0]}",
        f"keep {NAMES[1]}",
        f"keep {NAMES[2]}",
        f"keep protected {NAMES[3]}",
    ]


def test_one_that_is_protected_meanwhile_stays(store: SparseDatastore) -> None:
    """Between plan and removal an administrator sets the protection: the store has the last word."""

    class Late(Recorded):
        def log(self, text: str) -> None:
            super().log(text)
            if text == f"remove {NAMES[1]}":
                store.set_protected(ROOT, NAMES[1], True)

    task = Late()
    prune(store, task=task)
    assert left(store) == NAMES[1:]
    assert task.warnings == [f"skipped {NAMES[1]}: cannot remove protected snapshot '{NAMES[1]}'"]


@pytest.mark.parametrize("shared", [True, False], ids=["read", "written"])
def test_one_in_use_is_a_warning(store: SparseDatastore, shared: bool) -> None:
    task = Recorded()
    with store.lock_snapshot(ROOT, NAMES[0], shared=shared):
        prune(store, task=task)
    assert left(store) == [NAMES[0], *NAMES[2:]]
    assert len(task.warnings) == 1
    assert task.warnings[0].startswith(f"skipped {NAMES[0]}: ")


def test_one_that_cannot_be_removed_is_a_warning(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.unlink

    def unlink(path: Any, **options: Any) -> None:
        if path == "index.json.blob":
            monkeypatch.setattr(os, "unlink", real)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    task = Recorded()
    prune(store, task=task)
    assert left(store) == [NAMES[0], *NAMES[2:]]
    assert len(task.warnings) == 1
    assert "Input/output error" in task.warnings[0]
    assert store.read_manifest(ROOT, NAMES[0]).files


def test_one_that_is_gone_meanwhile_is_fine(store: SparseDatastore) -> None:
    class Fast(Recorded):
        def log(self, text: str) -> None:
            super().log(text)
            if text == f"remove {NAMES[0]}":
                store.remove_snapshot(ROOT, NAMES[0])

    task = Fast()
    prune(store, task=task)
    assert (left(store), task.warnings) == (NAMES[2:], [])


def test_a_running_backup_stays(store: SparseDatastore) -> None:
    running = snapshot(time=NOON + 4 * DAY)
    backup(store, running, finish=False)
    lines = prune(store, Retention(last=1))
    assert left(store) == [NAMES[3], running]
    assert f"keep partial {running}" in lines


def test_what_is_left_of_a_failed_backup_goes(store: SparseDatastore) -> None:
    failed = snapshot(time=NOON + DAY // 2)
    backup(store, failed, finish=False)
    prune(store, Retention(last=4))
    assert left(store) == NAMES


def test_of_unfinished_ones_only_the_newest_stays(store: SparseDatastore) -> None:
    for day in (0, 1):
        backup(store, snapshot("host/b", NOON + day), finish=False)
    prune(store, Retention(last=1))
    assert left(store, GroupName.parse("host/b")) == [snapshot("host/b", NOON + 1)]


def test_an_abort_ends_it_between_removals(store: SparseDatastore) -> None:
    class Once(Recorded):
        def check_abort(self) -> None:
            self.aborted = len(left(store)) < 4
            super().check_abort()

    with pytest.raises(Aborted):
        prune(store, Retention(last=1), task=Once())
    assert left(store) == NAMES[1:]


class TestPlaces:
    """Which groups a run takes."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SparseDatastore:
        store = sparse_store(tmp_path)
        for text in ("a", "a/b", "a/b/c"):
            store.create_namespace(Namespace.parse(text))
        for ns in ("", "a", "a/b", "a/b/c"):
            for group in ("host/x", "vm/1"):
                for day in range(2):
                    backup(store, snapshot(group, NOON + day), ns=Namespace.parse(ns))
        return store

    @staticmethod
    def pruned(store: Datastore) -> set[str]:
        spaces = list(store.namespaces(ROOT))
        return {f"{ns}:{group}" for ns in spaces for group in store.groups(ns) if len(left(store, group, ns)) == 1}

    @pytest.mark.parametrize(
        ("ns", "max_depth", "text", "places"),
        [
            ("", 7, "root namespace, full recursion", ["", "a", "a/b", "a/b/c"]),
            ("", 0, "root namespace, non-recursive", [""]),
            ("", 1, "root namespace, down to depth 1", ["", "a"]),
            ("a", 1, "namespace 'a', down to depth 1", ["a", "a/b"]),
            ("a/b/c", 7, "namespace 'a/b/c', full recursion", ["a/b/c"]),
        ],
    )
    def test_by_depth(self, store: SparseDatastore, ns: str, max_depth: int, text: str, places: list[str]) -> None:
        task = Recorded()
        run_prune(store, Namespace.parse(ns), Retention(last=1), task, zone=UTC, max_depth=max_depth)
        assert task.lines[0] == f"Starting datastore prune on datastore 'store', {text}"
        assert self.pruned(store) == {f"{place}:{group}" for place in places for group in ("host/x", "vm/1")}

    def test_by_rights(self, store: SparseDatastore) -> None:
        prune(store, Retention(last=1), allowed=lambda ns, group: ns.depth == 1 and group.id == "1")
        assert self.pruned(store) == {"a:vm/1"}
