"""Pruning by retention options (spec rest-api §10.3, administration §2.4)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import DAY, NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import ROOT, GroupName, Namespace

PATH = f"/admin/datastore/{STORE}"
GROUP = {"backup-type": "host", "backup-id": "a"}
DAYS = [NOON + day * DAY for day in range(5)]
PLACE = f"/datastore/{STORE}"


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    """host/a of alice with five daily snapshots."""
    for moment in DAYS:
        backup(site.store, snapshot("host/a", moment), owner="alice@pbs")


def times(site: Site, ns: Namespace = ROOT, group: str = "host/a") -> list[int]:
    return sorted(entry.name.time for entry in site.store.snapshots(ns, GroupName.parse(group)))


def prune(by: Session, **more: Any) -> Any:
    return by.post(f"{PATH}/prune", {**GROUP, **{name.replace("_", "-"): value for name, value in more.items()}})


def test_a_dry_run_says_what_would_happen(site: Site) -> None:
    items = prune(site.root, keep_last=2, dry_run=1).data
    assert [(item["backup-time"], item["keep"]) for item in items] == list(zip(DAYS, [False] * 3 + [True] * 2, strict=True))
    assert items[0] == {**GROUP, "backup-time": DAYS[0], "keep": False, "protected": False}
    assert times(site) == DAYS
    assert isinstance(prune(site.root, keep_last=2, dry_run=1, use_task=1).data, list)
    assert site.root.get("/nodes/localhost/tasks").data == []


def test_a_real_run_answers_the_same_and_leaves_a_task(site: Site) -> None:
    items = prune(site.root, keep_last=2).data
    assert [(item["backup-time"], item["keep"]) for item in items] == list(zip(DAYS, [False] * 3 + [True] * 2, strict=True))
    assert times(site) == DAYS[3:]
    [task] = site.root.get("/nodes/localhost/tasks").data
    assert (task["worker_type"], task["worker_id"], task["status"]) == ("prune", f"{STORE}::host/a", "OK")


def test_as_a_task(site: Site) -> None:
    upid = prune(site.root, keep_last=1, use_task=1).data
    assert site.ended(upid) == "OK"
    assert times(site) == DAYS[4:]


def test_without_options_everything_is_kept(site: Site) -> None:
    assert all(item["keep"] for item in prune(site.root).data)
    assert times(site) == DAYS


def test_protected_snapshots_stay_and_do_not_count(site: Site) -> None:
    site.store.set_protected(ROOT, snapshot("host/a", DAYS[0]), True)
    assert [item["protected"] for item in prune(site.root, keep_last=1).data] == [True, False, False, False, False]
    assert times(site) == [DAYS[0], DAYS[4]]


def test_a_namespace_is_named_in_a_dry_run(site: Site) -> None:
    inner = Namespace.parse("a")
    site.store.create_namespace(inner)
    backup(site.store, snapshot("host/a", NOON), ns=inner)
    assert prune(site.root, ns="a", dry_run=1).data[0]["ns"] == "a"
    assert "ns" not in prune(site.root, ns="a").data[0]


@pytest.mark.parametrize("name", ["last", "hourly", "daily", "weekly", "monthly", "yearly"])
def test_numbers_begin_with_one(site: Site, name: str) -> None:
    answer = prune(site.root, **{f"keep_{name}": 0})
    assert (answer.status, answer.text.endswith("value must have a minimum value of 1 (got 0)")) == (400, True)


def test_a_missing_group(site: Site) -> None:
    answer = site.root.post(f"{PATH}/prune", {**GROUP, "backup-id": "none", "keep-last": 1})
    assert (answer.status, "ENOENT" in answer.text) == (400, True)


def test_who_may(site: Site) -> None:
    roles = {"nobody": ("NoAccess", 403), "other": ("DatastorePowerUser", 400), "backer": ("DatastoreBackup", 403)}
    for name, (role, status) in roles.items():
        assert prune(site.user(name, {PLACE: role}), keep_last=1).status == status
    assert times(site) == DAYS
    assert prune(site.user("alice", {PLACE: "DatastorePowerUser"}), keep_last=1).status == 200
    assert times(site) == DAYS[4:]


# --- the whole datastore ---


def prune_all(site: Site, by: Session, **more: Any) -> str:
    upid = by.post(f"{PATH}/prune-datastore", {name.replace("_", "-"): value for name, value in more.items()}).data
    assert site.ended(upid) == "OK"
    return str(upid)


def test_all_groups_of_a_namespace_and_below(site: Site) -> None:
    for text in ("n", "n/m"):
        site.store.create_namespace(Namespace.parse(text))
        for moment in DAYS[:2]:
            backup(site.store, snapshot("vm/1", moment), ns=Namespace.parse(text))
    upid = prune_all(site, site.root, ns="n", keep_last=1, max_depth=0)
    assert f":prune:{STORE}\\x3an:" in upid
    assert (times(site, Namespace.parse("n"), "vm/1"), times(site, Namespace.parse("n/m"), "vm/1")) == (DAYS[1:2], DAYS[:2])
    prune_all(site, site.root, ns="n", keep_last=1)
    assert (times(site, Namespace.parse("n/m"), "vm/1"), times(site)) == (DAYS[1:2], DAYS)


def test_a_dry_run_has_a_log_and_no_effect(site: Site) -> None:
    upid = prune_all(site, site.root, keep_last=1, dry_run=1)
    lines, _ = site.services.tasks.log_lines(upid, 0, 0)
    assert any("would remove host/a" in text for _, text in lines)
    assert times(site) == DAYS


def test_others_groups_are_left_out(site: Site) -> None:
    for moment in DAYS[:2]:
        backup(site.store, snapshot("host/b", moment), owner="bob@pbs")
    prune_all(site, site.user("bob", {PLACE: "DatastorePowerUser"}), keep_last=1)
    assert (times(site), times(site, group="host/b")) == (DAYS, DAYS[1:2])


def test_a_missing_privilege_is_400_here(site: Site) -> None:
    answer = site.user("nobody").post(f"{PATH}/prune-datastore", {"dry-run": 1})
    assert (answer.status, answer.text) == (400, f"missing permissions 'Datastore.Modify|Datastore.Prune' on '{PLACE}'")
