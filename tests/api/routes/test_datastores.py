"""The list of datastores and their figures (spec rest-api §3.5, §8.2, §10.3, §10.6)."""

from __future__ import annotations

import shutil
from itertools import pairwise
from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import ROOT, GroupName, Namespace
from platevault.services.gc_status import GcStatus

ITEM = {"store": STORE, "comment": None, "mount-status": "nonremovable", "backend-type": "filesystem"}
STATUS = f"/admin/datastore/{STORE}/status"
CONFIG = f"/config/datastore/{STORE}"
USAGE = "/status/datastore-usage"
GC = set(GcStatus().record())
PLACE = f"/datastore/{STORE}"


def listed(by: Session) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = by.get("/admin/datastore").data
    return found


def test_an_item_of_the_list(site: Site) -> None:
    assert listed(site.root) == [ITEM]
    site.root.put(CONFIG, {"comment": "for tests", "maintenance-mode": 'type=offline,message="disk swap"'})
    assert listed(site.root) == [{**ITEM, "comment": "for tests", "maintenance": "offline,message=disk swap"}]


@pytest.mark.parametrize(
    ("roles", "seen"),
    [
        ({}, False),
        ({PLACE: "DatastoreAudit"}, True),
        ({PLACE: "DatastoreBackup"}, True),
        ({"/datastore": "DatastoreReader"}, True),
        ({"/datastore/other": "Admin"}, False),
        ({f"{PLACE}/a/b": "DatastoreBackup"}, True),
        ({f"{PLACE}er": "DatastoreBackup"}, False),
        ({PLACE: "RemoteAdmin"}, False),
    ],
)
def test_who_sees_a_datastore(site: Site, roles: dict[str, str], seen: bool) -> None:
    alice = site.user("alice", roles)
    assert [item["store"] for item in listed(alice)] == [STORE] * seen
    assert [item["store"] for item in alice.get(USAGE).data] == [STORE] * seen
    assert [item["store"] for item in alice.get("/admin/gc").data] == [STORE] * seen


def test_with_a_namespace_alone_only_the_name_is_seen(site: Site) -> None:
    site.root.put(CONFIG, {"comment": "secret"})
    alice = site.user("alice", {f"{PLACE}/a": "DatastoreReader"})
    assert listed(alice) == [ITEM]
    assert alice.get(USAGE).data == [{key: ITEM[key] for key in ("store", "mount-status", "backend-type")}]
    assert alice.get(STATUS, {"verbose": 1}).data == {"total": 0, "used": 0, "avail": 0, "backend-type": "filesystem"}


def test_status(site: Site) -> None:
    data = site.root.get(STATUS).data
    space = site.store.space()
    assert set(data) == {"total", "used", "avail", "backend-type"}
    assert data["total"] == space.total > 0
    assert all(type(data[key]) is int for key in ("total", "used", "avail"))


def test_status_is_refused_with_the_text_of_a_declared_permission(site: Site) -> None:
    for store in (STORE, "other"):
        answer = site.user(f"alice-{store}").get(f"/admin/datastore/{store}/status")
        assert (answer.status, answer.text) == (403, "permission check failed")
    assert site.root.get("/admin/datastore/other/status").text == "no such datastore 'other'"


def test_counts_cover_all_namespaces_and_only_groups_with_snapshots(site: Site) -> None:
    site.store.create_namespace(Namespace.parse("a/b"))
    backup(site.store, snapshot("vm/100", 1000))
    backup(site.store, snapshot("vm/100", 2000))
    backup(site.store, snapshot("ct/1", 1000), ns=Namespace.parse("a/b"), owner="alice@pbs")
    site.store.create_group(ROOT, GroupName.parse("host/empty"), "root@pam")
    data = site.root.get(STATUS, {"verbose": 1}).data
    assert data["counts"] == {
        "vm": {"groups": 1, "snapshots": 2},
        "ct": {"groups": 1, "snapshots": 1},
        "host": None,
        "other": None,
    }
    assert set(data["gc-status"]) == GC
    alice = site.user("alice", {PLACE: "DatastoreBackup"})
    assert alice.get(STATUS, {"verbose": 1}).data["counts"] == {
        "vm": None,
        "ct": {"groups": 1, "snapshots": 1},
        "host": None,
        "other": None,
    }


# --- curves ---


@pytest.mark.parametrize("timeframe", ["hour", "day", "week", "month", "year", "decade"])
@pytest.mark.parametrize("cf", ["MAX", "AVERAGE"])
def test_curves(shared_site: Site, timeframe: str, cf: str) -> None:
    shared_site.app.sampler.take()
    items = shared_site.root.get(f"/admin/datastore/{STORE}/rrd", {"timeframe": timeframe, "cf": cf}).data
    times = [item["time"] for item in items]
    assert len({later - earlier for earlier, later in pairwise(times)}) == 1
    assert set(items[0]) == {"time"}
    assert set(items[-1]) == {"time", "total", "used", "available"}


@pytest.mark.parametrize(
    "query", [{}, {"cf": "MAX"}, {"timeframe": "hour"}, {"cf": "MIN", "timeframe": "hour"}, {"cf": "MAX", "timeframe": "x"}]
)
def test_curves_need_both_parameters(shared_site: Site, query: dict[str, str]) -> None:
    assert shared_site.root.get(f"/admin/datastore/{STORE}/rrd", query).status == 400


def test_curves_of_an_unknown_datastore(shared_site: Site) -> None:
    assert shared_site.root.get("/admin/datastore/other/rrd", {"cf": "MAX", "timeframe": "hour"}).status == 400


# --- operations ---


def test_running_operations_are_counted(site: Site) -> None:
    path = f"/admin/datastore/{STORE}/active-operations"
    assert site.root.get(path).data == {"read": 0, "write": 0}
    with site.services.datastores.operation(STORE, "write"), site.services.datastores.operation(STORE, "read"):
        assert site.root.get(path).data == {"read": 1, "write": 1}
    assert site.root.get(path).data == {"read": 0, "write": 0}


# --- usage ---


def test_usage(site: Site) -> None:
    [item] = site.root.get(USAGE).data
    assert set(item) == {
        "store",
        "total",
        "used",
        "avail",
        "history",
        "history-start",
        "history-delta",
        "gc-status",
        "mount-status",
        "backend-type",
    }
    assert set(item["history"]) == {None}
    assert set(item["gc-status"]) == GC


def test_usage_shows_each_sample(site: Site) -> None:
    site.root.get(USAGE)
    site.app.sampler.take()
    [item] = site.root.get(USAGE).data
    assert 0 <= item["history"][-1] <= 1
    assert item["history-start"] + item["history-delta"] * (len(item["history"]) - 1) <= site.clock.now()


# --- maintenance (§3.5) ---


def test_offline_refuses_everything_and_says_why(site: Site) -> None:
    site.root.put(CONFIG, {"maintenance-mode": "offline,message=moving"})
    for tail in ("/status", "/snapshots", "/groups", "/namespace"):
        answer = site.root.get(f"/admin/datastore/{STORE}{tail}")
        assert (answer.status, answer.text) == (400, f"datastore '{STORE}' is unavailable: offline maintenance mode: moving")
    [item] = site.root.get(USAGE).data
    assert item == {
        "store": STORE,
        "mount-status": "nonremovable",
        "backend-type": "filesystem",
        "error": f"datastore '{STORE}' is unavailable: offline maintenance mode: moving",
    }
    assert site.root.put(CONFIG, {"delete": "maintenance-mode"}).status == 200
    assert site.root.get(STATUS).status == 200


def test_a_mode_without_a_message_ends_with_a_blank(site: Site) -> None:
    site.root.put(CONFIG, {"maintenance-mode": "offline"})
    assert site.root.get(STATUS).text == f"datastore '{STORE}' is unavailable: offline maintenance mode: "


def test_read_only_refuses_writing_alone(site: Site) -> None:
    backup(site.store, snapshot("host/a", 1000))
    site.root.put(CONFIG, {"maintenance-mode": "read-only"})
    name = {"backup-type": "host", "backup-id": "a", "backup-time": 1000}
    group = {"backup-type": "host", "backup-id": "a"}
    place = f"/admin/datastore/{STORE}"
    for answer in (
        site.root.put(f"{place}/notes", {**name, "notes": "x"}),
        site.root.put(f"{place}/protected", {**name, "protected": 1}),
        site.root.post(f"{place}/prune", {**group, "keep-last": 1}),
        site.root.post(f"{place}/namespace", {"name": "a"}),
        site.root.delete(f"{place}/groups", group),
        site.root.delete(f"{place}/snapshots", name),
        site.root.post(f"{place}/change-owner", {**group, "new-owner": "root@pam"}),
        site.root.post(f"{place}/gc"),
    ):
        assert (answer.status, "read-only maintenance mode" in answer.text) == (400, True)
    assert site.root.get(f"{place}/snapshots").status == 200
    assert site.root.post(f"{place}/prune", {**group, "keep-last": 1, "dry-run": 1}).status == 200


def test_a_directory_that_is_gone_is_an_error_of_one_item(site: Site) -> None:
    site.add_store("second")
    shutil.rmtree(site.where / "second")
    items = {item["store"]: item for item in site.root.get(USAGE).data}
    assert "error" in items["second"]
    assert "total" in items[STORE]
    assert site.root.get("/admin/datastore/second/status").status == 400
    assert {item["store"] for item in site.root.get("/admin/gc").data} == {STORE, "second"}
