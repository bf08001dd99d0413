"""Garbage collection: start and status (spec rest-api §8.2, §10.3, §10.4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.services import gc
from platevault.services.gc_status import GcStatus

PATH = f"/admin/datastore/{STORE}/gc"
NEVER = {"store": STORE, **GcStatus().record()}


def test_before_the_first_run(site: Site) -> None:
    assert site.root.get(PATH).data == NEVER
    assert site.root.get("/admin/gc").data == [NEVER]
    assert site.root.get("/admin/gc", {"store": STORE}).data == [NEVER]
    assert site.root.get(f"/admin/gc/{STORE}").data == [NEVER]
    for path in ("/admin/gc?store=other", "/admin/gc/other", "/admin/datastore/other/gc"):
        assert site.root.get(path).text == "no such datastore 'other'"


def test_a_run_and_its_figures(site: Site) -> None:
    backup(site.store, snapshot("vm/100", NOON))
    upid = site.root.post(PATH).data
    assert f":garbage_collection:{STORE}:root@pam:" in upid
    assert site.ended(upid) == "OK"
    data = site.root.get(PATH).data
    assert set(data) == {*NEVER, "cache-stats", "last-run-endtime", "last-run-state", "duration"}
    assert (data["upid"], data["last-run-state"], data["last-run-endtime"]) == (upid, "OK", int(site.clock.now()))
    assert (data["index-file-count"], data["disk-chunks"], data["duration"]) == (1, 4, 0)  # three, and the chunk of zeros


def test_a_schedule_has_a_next_run(site: Site) -> None:
    site.root.put(f"/config/datastore/{STORE}", {"gc-schedule": "hourly"})
    data = site.root.get(PATH).data
    assert data["schedule"] == "hourly"
    assert data["next-run"] % 3600 == 0
    assert 0 < data["next-run"] - site.clock.now() <= 3600


@pytest.fixture
def running(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A collection that waits until it is let go."""
    go, begun = threading.Event(), threading.Event()

    def wait(*_: object, **__: object) -> None:
        begun.set()
        assert go.wait(20)

    monkeypatch.setattr("platevault.api.routes.garbage_collection.run_gc", wait)
    upid = site.root.post(PATH).data
    assert begun.wait(20)
    yield upid
    go.set()
    site.ended(upid)


def test_one_at_a_time(site: Site, running: str) -> None:
    answer = site.root.post(PATH)
    assert (answer.status, answer.text) == (400, "garbage collection already running")
    assert len(site.root.get("/nodes/localhost/tasks").data) == 1
    assert site.root.get(f"/admin/datastore/{STORE}/active-operations").data == {"read": 0, "write": 1}


def test_a_running_one_has_no_end_yet(site: Site, running: str) -> None:
    data = site.root.get(PATH).data
    assert not {"last-run-state", "last-run-endtime", "duration"} & set(data)


def test_after_one_has_ended_the_next_may_begin(site: Site) -> None:
    first = site.root.post(PATH).data
    site.ended(first)
    second = site.root.post(PATH).data
    assert site.ended(second) == "OK"
    assert first != second


def test_tuning_is_heeded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr("platevault.api.routes.garbage_collection.run_gc", lambda *_, **options: seen.update(options))
    site.ended(site.root.post(PATH).data)
    assert (seen["cutoff_s"], seen["check_times"]) == (gc.CUTOFF_S, True)
    site.root.put(f"/config/datastore/{STORE}", {"tuning": "gc-atime-cutoff=60,gc-atime-safety-check=0"})
    site.ended(site.root.post(PATH).data)
    assert (seen["cutoff_s"], seen["check_times"]) == (3600, False)


def test_who_may(site: Site) -> None:
    for name, role, reading, writing in (
        ("auditor", "DatastoreAudit", 200, 403),
        ("backer", "DatastoreBackup", 403, 403),
        ("admin", "DatastoreAdmin", 200, 200),
    ):
        by = site.user(name, {f"/datastore/{STORE}": role})
        assert by.get(PATH).status == by.get(f"/admin/gc/{STORE}").status == reading
        assert by.post(PATH).status == writing
