"""Prune jobs: configuration, state, runs (spec rest-api §10.4, §10.10)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import DAY, NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import ROOT, GroupName, Namespace
from platevault.formats.upid import Upid

LIST = "/config/prune"
ONE = f"{LIST}/daily-1"
FIELDS: dict[str, Any] = {"id": "daily-1", "store": STORE, "schedule": "daily", "keep-last": 3}
PLACE = f"/datastore/{STORE}"


def create(by: Session, **change: Any) -> Any:
    return by.post(LIST, {**FIELDS, **{name.replace("_", "-"): value for name, value in change.items()}})


def state(site: Site, **query: Any) -> dict[str, Any]:
    [item] = site.root.get("/admin/prune", query).data
    return dict(item)


def test_what_is_given_is_kept(site: Site) -> None:
    more = {"keep_daily": 7, "ns": "a/b", "max_depth": 2, "comment": "c", "disable": True}
    assert create(site.root, **more).data is None
    expected = {**FIELDS, "keep-daily": 7, "ns": "a/b", "max-depth": 2, "comment": "c", "disable": True}
    answer = site.root.get(ONE)
    assert (answer.data, len(answer.envelope["digest"])) == (expected, 64)
    assert site.root.get(LIST).data == [expected]
    assert state(site) == expected  # disabled: no next run


def test_a_schedule_has_a_next_run(site: Site) -> None:
    create(site.root, schedule="hourly")
    found = state(site, store=STORE)
    assert set(found) == {*FIELDS, "next-run"}
    assert found["next-run"] % 3600 == 0
    assert site.root.get("/admin/prune", {"store": "other"}).data == []


def test_an_enabled_job_says_nothing_of_it(site: Site) -> None:
    create(site.root, disable=False)
    assert "disable" not in site.root.get(ONE).data


def test_an_id_exists_once(site: Site) -> None:
    create(site.root)
    assert create(site.root).text == "parameter verification failed - 'id': job 'daily-1' already exists."


def test_what_is_required_is_named(site: Site) -> None:
    lines = site.root.post(LIST, {}).text.splitlines()
    assert [line.split("'")[1] for line in lines[1:]] == ["id", "schedule", "store"]


@pytest.mark.parametrize(
    "change", [{"id": "ab"}, {"id": "a/b"}, {"schedule": "never"}, {"keep_last": 0}, {"max_depth": 8}, {"ns": "a//b"}, {"store": "x"}]
)
def test_values_that_are_none(site: Site, change: dict[str, Any]) -> None:
    assert create(site.root, **change).status == 400


def test_updates(site: Site) -> None:
    create(site.root, comment="c", ns="a", disable=True)
    assert site.root.put(ONE, {"keep-daily": 5, "disable": False, "ns": "", "delete": ["keep-last", "comment"]}).data is None
    assert site.root.get(ONE).data == {"id": "daily-1", "store": STORE, "schedule": "daily", "keep-daily": 5}
    assert site.root.put(ONE, {"delete": "schedule"}).status == 400
    assert site.root.put(ONE, {"digest": "0" * 64, "comment": "x"}).status == 400


def test_missing_ones_are_400(site: Site) -> None:
    for answer in (site.root.get(ONE), site.root.put(ONE, {}), site.root.delete(ONE), site.root.post("/admin/prune/daily-1/run")):
        assert (answer.status, answer.text) == (400, "no such prune 'daily-1'")


def test_a_run_prunes_and_is_remembered(site: Site) -> None:
    for day in range(5):
        backup(site.store, snapshot("host/a", NOON + day * DAY))
    create(site.root)
    upid = site.root.post("/admin/prune/daily-1/run").data
    assert site.ended(upid) == "OK"
    assert (Upid.parse(upid).worker_type, Upid.parse(upid).worker_id) == ("prunejob", STORE)
    assert len(site.store.snapshots(ROOT, GroupName.parse("host/a"))) == 3
    found = state(site)
    assert (found["last-run-upid"], found["last-run-state"]) == (upid, "OK")
    assert found["last-run-endtime"] == site.root.get(f"/nodes/localhost/tasks/{upid.replace(':', '%3A')}/status").data["endtime"]


def test_a_job_works_in_its_namespace(site: Site) -> None:
    ns = Namespace.parse("n")
    site.store.create_namespace(ns)
    for place in (ROOT, ns):
        for day in range(5):
            backup(site.store, snapshot("host/a", NOON + day * DAY), ns=place)
    create(site.root, ns="n")
    upid = site.root.post("/admin/prune/daily-1/run").data
    assert site.ended(upid) == "OK"
    assert Upid.parse(upid).worker_id == f"{STORE}:n"
    assert [len(site.store.snapshots(place, GroupName.parse("host/a"))) for place in (ROOT, ns)] == [5, 3]


def test_with_a_job_goes_its_state(site: Site) -> None:
    create(site.root)
    site.ended(site.root.post("/admin/prune/daily-1/run").data)
    assert site.root.delete(ONE).data is None
    create(site.root)
    assert "last-run-upid" not in state(site)


def test_no_run_in_maintenance(site: Site) -> None:
    create(site.root)
    site.root.put(f"/config/datastore/{STORE}", {"maintenance-mode": "read-only"})
    assert "read-only maintenance mode" in site.root.post("/admin/prune/daily-1/run").text


def test_who_may(site: Site) -> None:
    create(site.root)
    for name, role, seen in (("auditor", "DatastoreAudit", 1), ("pruner", "DatastorePowerUser", 0), ("nobody", "NoAccess", 0)):
        by = site.user(name, {PLACE: role})
        assert len(by.get(LIST).data) == len(by.get("/admin/prune").data) == seen
        assert by.get(ONE).status == (200 if seen else 403)
        for answer in (create(by, id="other"), by.put(ONE, {}), by.delete(ONE), by.post("/admin/prune/daily-1/run")):
            assert (answer.status, answer.text) == (400, f"missing permissions 'Datastore.Modify' on '{PLACE}'")
    admin = site.user("admin", {f"{PLACE}/a": "DatastoreAdmin"})
    assert create(admin, id="inner", ns="a/b").status == 200
    assert admin.put(f"{LIST}/inner", {"ns": ""}).status == 400  # not where it would work from then on
    assert [job["id"] for job in admin.get(LIST).data] == ["inner"]
