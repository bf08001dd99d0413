"""Verification jobs: configuration, state, runs (spec rest-api §10.4, §10.10)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import Namespace
from platevault.formats.upid import Upid

LIST = "/config/verify"
ONE = f"{LIST}/weekly-1"
FIELDS: dict[str, Any] = {"id": "weekly-1", "store": STORE}
PLACE = f"/datastore/{STORE}"
RUN = "/admin/verify/weekly-1/run"


def test_what_is_given_is_kept(site: Site) -> None:
    fields = {
        **FIELDS,
        "schedule": "sat 18:15",
        "ignore-verified": False,
        "outdated-after": 30,
        "ns": "a",
        "max-depth": 1,
        "comment": "c",
        "read-threads": 2,
        "verify-threads": 8,
    }
    assert site.root.post(LIST, fields).data is None
    answer = site.root.get(ONE)
    assert (answer.data, len(answer.envelope["digest"])) == (fields, 64)
    assert site.root.get(LIST).data == [fields]
    [found] = site.root.get("/admin/verify").data
    assert {**found, "next-run": 0} == {**fields, "next-run": 0}


def test_without_a_schedule_there_is_no_next_run(site: Site) -> None:
    site.root.post(LIST, FIELDS)
    assert site.root.get("/admin/verify").data == [FIELDS]


@pytest.mark.parametrize("change", [{"verify-threads": 33}, {"outdated-after": -1}, {"schedule": "never"}, {"id": "x"}])
def test_values_that_are_none(site: Site, change: dict[str, Any]) -> None:
    assert site.root.post(LIST, {**FIELDS, **change}).status == 400


def test_an_id_exists_once(site: Site) -> None:
    site.root.post(LIST, FIELDS)
    assert site.root.post(LIST, FIELDS).text == "parameter verification failed - 'id': job 'weekly-1' already exists."


def test_updates(site: Site) -> None:
    site.root.post(LIST, {**FIELDS, "schedule": "daily", "outdated-after": 3})
    assert site.root.put(ONE, {"comment": "c", "delete": ["schedule", "outdated-after"]}).data is None
    assert site.root.get(ONE).data == {**FIELDS, "comment": "c"}
    assert site.root.put(ONE, {"delete": "store"}).status == 400


def test_missing_ones_are_400(site: Site) -> None:
    for answer in (site.root.get(ONE), site.root.put(ONE, {}), site.root.delete(ONE), site.root.post(RUN)):
        assert (answer.status, answer.text) == (400, "no such verification 'weekly-1'")


def test_a_run_verifies_and_is_remembered(site: Site) -> None:
    site.store.create_namespace(Namespace.parse("a"))
    backup(site.store, snapshot("host/a", NOON))
    backup(site.store, snapshot("host/a", NOON), ns=Namespace.parse("a"))
    site.root.post(LIST, {**FIELDS, "max-depth": 0})
    upid = site.root.post(RUN).data
    assert site.ended(upid) == "OK"
    assert (Upid.parse(upid).worker_type, Upid.parse(upid).worker_id) == ("verificationjob", f"{STORE}:weekly-1")
    [found] = site.root.get("/admin/verify").data
    assert (found["last-run-upid"], found["last-run-state"]) == (upid, "OK")
    place = f"/admin/datastore/{STORE}/snapshots"
    assert site.root.get(place).data[0]["verification"] == {"state": "ok", "upid": upid}
    assert "verification" not in site.root.get(place, {"ns": "a"}).data[0]


def test_a_failed_run_is_remembered_as_such(site: Site) -> None:
    made = backup(site.store, snapshot("host/a", NOON))
    name = made.digests[0].hex()
    (site.where / STORE / ".chunks" / name[:4] / name).unlink()
    site.root.post(LIST, FIELDS)
    status = site.ended(site.root.post(RUN).data)
    assert status.startswith("verification failed")
    assert site.root.get("/admin/verify").data[0]["last-run-state"] == status


def test_who_may(site: Site) -> None:
    site.root.post(LIST, FIELDS)
    for name, role, seen, may in (
        ("auditor", "DatastoreAudit", 1, False),
        ("reader", "DatastoreReader", 1, True),
        ("backer", "DatastoreBackup", 0, False),
    ):
        by = site.user(name, {PLACE: role})
        assert len(by.get(LIST).data) == len(by.get("/admin/verify").data) == seen
        assert by.put(ONE, {"comment": "x"}).status == (200 if may else 400)
        answer = by.post(RUN)
        assert answer.status == (200 if may else 400)
        if not may:
            assert answer.text == f"missing permissions 'Datastore.Verify' on '{PLACE}'"
