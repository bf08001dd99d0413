"""Verification as a task (spec rest-api §7.2, §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import Namespace
from platevault.formats.upid import Upid

PATH = f"/admin/datastore/{STORE}"
AB = Namespace.parse("a/b")
GROUP = {"backup-type": "vm", "backup-id": "100"}


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    site.store.create_namespace(AB)
    backup(site.store, snapshot("vm/100", NOON))
    backup(site.store, snapshot("vm/100", NOON + 60))
    backup(site.store, snapshot("ct/7", NOON), ns=AB, owner="alice@pbs")


def states(site: Site, ns: str = "") -> dict[int, Any]:
    found = site.root.get(f"{PATH}/snapshots", {"ns": ns}).data
    return {item["backup-time"]: item.get("verification") for item in found}


def start(site: Site, **form: Any) -> str:
    upid: str = site.root.post(f"{PATH}/verify", {name.replace("_", "-"): value for name, value in form.items()}).data
    return upid


@pytest.mark.parametrize(
    ("form", "kind", "tail"),
    [
        ({}, "verify", ""),
        ({"ns": "a"}, "verify", ":ns/a"),
        (GROUP, "verify_group", ":/vm/100"),
        ({**GROUP, "backup-time": NOON}, "verify_snapshot", f":/vm/100/{NOON:08X}"),
        ({"backup-type": "ct", "backup-id": "7", "ns": "a/b"}, "verify_group", ":ns/a/ns/b/ct/7"),
        ({"backup-type": "vm", "backup-id": "999"}, "verify_group", ":/vm/999"),
    ],
)
def test_the_task_says_what_is_verified(site: Site, form: dict[str, Any], kind: str, tail: str) -> None:
    upid = start(site, **form)
    assert site.ended(upid) == "OK"
    parsed = Upid.parse(upid)
    assert (parsed.worker_type, parsed.worker_id) == (kind, STORE + tail)


def test_the_result_is_in_the_list(site: Site) -> None:
    upid = start(site, **GROUP, backup_time=NOON)
    site.ended(upid)
    assert states(site) == {NOON: {"state": "ok", "upid": upid}, NOON + 60: None}


def test_what_was_verified_is_left_out_by_default(site: Site) -> None:
    first = start(site)
    site.ended(first)
    site.ended(start(site, **GROUP))
    assert states(site)[NOON]["upid"] == first
    second = start(site, **GROUP, ignore_verified=0)
    site.ended(second)
    assert states(site)[NOON]["upid"] == second


def test_a_damaged_chunk_fails_the_task_and_the_snapshot(site: Site) -> None:
    bad = backup(site.store, snapshot("host/bad", NOON))
    name = bad.digests[0].hex()
    chunk = site.where / STORE / ".chunks" / name[:4] / name
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    upid = start(site, backup_type="host", backup_id="bad")
    assert site.ended(upid).startswith("verification failed")
    found = next(item for item in site.root.get(f"{PATH}/snapshots").data if item["backup-id"] == "bad")
    assert found["verification"] == {"state": "failed", "upid": upid}


def test_a_missing_namespace_fails_in_the_task(site: Site) -> None:
    assert "does not exist" in site.ended(start(site, ns="none"))


@pytest.mark.parametrize(
    "form",
    [
        {"backup-id": "100"},
        {"backup-type": "vm"},
        {"backup-time": NOON},
        {"backup-type": "vm", "backup-time": NOON},
        {"read-threads": 0},
        {"verify-threads": 33},
        {"max-depth": 8},
        {"outdated-after": -1},
    ],
)
def test_half_a_name_and_numbers_out_of_range(site: Site, form: dict[str, Any]) -> None:
    assert site.root.post(f"{PATH}/verify", form).status == 400
    assert site.root.get("/nodes/localhost/tasks").data == []


def test_the_number_of_threads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr("platevault.api.routes.verify.run_verify", lambda *_, **options: seen.append(options["workers"]))
    site.ended(start(site))
    site.root.put(f"/config/datastore/{STORE}", {"tuning": "default-verification-workers=2"})
    site.ended(start(site))
    site.ended(start(site, verify_threads=8))
    assert seen == [4, 2, 8]


def test_who_may(site: Site) -> None:
    alice = site.user("alice", {f"/datastore/{STORE}": "DatastoreBackup"})
    answer = alice.post(f"{PATH}/verify", GROUP)
    assert (answer.status, answer.text) == (400, "backup owner check failed (alice@pbs != root@pam)")
    assert site.user("nobody").post(f"{PATH}/verify", {}).status == 403
    site.ended(alice.post(f"{PATH}/verify", {}).data)
    assert set(states(site).values()) == {None}
    assert states(site, "a/b")[NOON]["state"] == "ok"
    assert site.user("verifier", {"/datastore": "DatastoreReader"}).post(f"{PATH}/verify", GROUP).status == 200


def test_a_running_verification_is_an_operation(site: Site) -> None:
    """While it runs, the datastore cannot be taken away."""
    site.ended(start(site))
    assert site.root.get(f"{PATH}/active-operations").data == {"read": 0, "write": 0}
