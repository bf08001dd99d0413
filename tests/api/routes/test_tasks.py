"""Tasks: list, filters, status, log, stop, access (spec rest-api §7)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from kit.asgi import Session
from kit.site import STORE, Site
from platevault.clock import ManualClock
from platevault.services.tasks import Task

LIST = "/nodes/localhost/tasks"
UNKNOWN = "UPID:pbs1:0000A1B2:01C3D4E5:0000002A:5F5E1000:verify:none:root@pam:"
PLACE = f"/datastore/{STORE}"


def path(upid: str, tail: str = "") -> str:
    return f"{LIST}/{quote(upid, safe='')}{tail}"


def begin(site: Site, kind: str = "prune", worker_id: str | None = f"{STORE}::host/a", auth_id: str = "root@pam") -> Task:
    """A task that has written two lines. The clock goes on, so that an order can be seen."""
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(10)
    task = site.services.tasks.begin(kind, worker_id, auth_id)
    task.log("first\nsecond")
    return task


def done(site: Site, error: str | None = None, **more: Any) -> str:
    task = begin(site, **more)
    task.finish(error)
    return str(task.upid)


def upids(by: Session, **query: Any) -> list[str]:
    return [item["upid"] for item in by.get(LIST, query).data]


# --- list ---


def test_items(site: Site) -> None:
    finished, running = done(site), begin(site, kind="backup", worker_id=f"{STORE}:vm/1", auth_id="alice@pbs!tok")
    first, second = site.root.get(LIST).data
    parsed = running.upid
    assert first == {
        "upid": str(parsed),
        "node": "localhost",
        "pid": parsed.pid,
        "pstart": parsed.pstart,
        "starttime": parsed.start,
        "worker_type": "backup",
        "worker_id": f"{STORE}:vm/1",
        "user": "alice@pbs!tok",
    }
    assert (second["upid"], second["status"], second["endtime"]) == (finished, "OK", int(site.clock.now()) - 10)
    running.finish()


def test_an_empty_id_is_null(site: Site) -> None:
    done(site, kind="aptupdate", worker_id=None)
    assert site.root.get(LIST).data[0]["worker_id"] is None


def test_running_ones_first_then_the_newest_end(site: Site) -> None:
    one, two, three = done(site), begin(site), done(site)
    four = done(site)
    assert upids(site.root) == [str(two.upid), four, three, one]
    two.finish()


@pytest.mark.parametrize(
    ("query", "count", "total"),
    [
        ({}, 5, 5),
        ({"limit": 2}, 2, 3),
        ({"start": 2, "limit": 2}, 2, 5),
        ({"start": 4, "limit": 2}, 1, 5),
        ({"limit": 0}, 5, 5),
        ({"limit": 5}, 5, 6),
    ],
)
def test_pages(site: Site, query: dict[str, int], count: int, total: int) -> None:
    for _ in range(5):
        done(site)
    answer = site.root.get(LIST, query)
    assert (len(answer.data), answer.envelope["total"]) == (count, total)


def test_filters(site: Site) -> None:
    ok = done(site)
    failed = done(site, "something broke", kind="garbage_collection", worker_id=STORE, auth_id="alice@pbs")
    warned = begin(site, kind="verify", worker_id=f"{STORE}:ns/a")
    warned.warn("careful")
    warned.finish()
    sync = done(site, kind="syncjob", worker_id=f"-:other:{STORE}:ns:job")
    other = done(site, kind="backup", worker_id="storeroom:vm/1")
    running = begin(site, kind="backup", worker_id=f"{STORE}:vm/1")
    everything = {ok, failed, str(warned.upid), sync, other, str(running.upid)}
    assert set(upids(site.root)) == everything
    assert upids(site.root, running=1) == [str(running.upid)]
    assert set(upids(site.root, errors=1)) == {failed, str(warned.upid), str(running.upid)}
    assert set(upids(site.root, store=STORE)) == everything - {other}
    assert upids(site.root, store="none") == []
    assert set(upids(site.root, typefilter="run")) == {ok}
    assert set(upids(site.root, userfilter="alice")) == {failed}
    assert upids(site.root, statusfilter=["ok"]) == [other, sync, ok]
    assert upids(site.root, statusfilter=["error", "warning"]) == [str(warned.upid), failed]
    assert upids(site.root, statusfilter="unknown") == []
    start = warned.upid.start
    assert upids(site.root, since=start, until=start) == [str(warned.upid)]
    assert upids(site.root, since=start + 1000) == []
    running.finish()


@pytest.mark.parametrize("query", [{"all": 1}, {"limit": -1}, {"limit": "x"}, {"statusfilter": "ok,error"}, {"store": "x"}, {"running": 2}])
def test_bad_queries(shared_site: Site, query: dict[str, Any]) -> None:
    assert shared_site.root.get(LIST, query).status == 400


# --- status and log ---


def test_status(site: Site) -> None:
    task = begin(site, auth_id="alice@pbs!tok")
    upid = task.upid
    record = {
        "upid": str(upid),
        "node": "testnode",
        "pid": upid.pid,
        "pstart": upid.pstart,
        "starttime": upid.start,
        "type": "prune",
        "id": f"{STORE}::host/a",
        "user": "alice@pbs",
        "tokenid": "tok",
    }
    assert site.root.get(path(str(upid), "/status")).data == {**record, "status": "running"}
    task.finish("it broke\nin two lines")
    ended = {**record, "status": "stopped", "exitstatus": "it broke in two lines", "endtime": int(site.clock.now())}
    assert site.root.get(path(str(upid), "/status")).data == ended


@pytest.mark.parametrize("safe", ["", ":@!"])
def test_a_upid_in_a_path(site: Site, safe: str) -> None:
    upid = done(site)
    assert site.root.get(f"{LIST}/{quote(upid, safe=safe)}/status").status == 200


@pytest.mark.parametrize("upid", ["UPID:x", "x" * 40, "UPID:pbs1:0000A1B2:01C3D4E5:5F5E1000:verify:none:root@pam:"])
def test_what_is_no_upid(shared_site: Site, upid: str) -> None:
    for answer in (
        shared_site.root.get(path(upid, "/status")),
        shared_site.root.get(path(upid, "/log")),
        shared_site.root.delete(path(upid)),
    ):
        assert (answer.status, "'upid'" in answer.text) == (400, True)


def test_an_unknown_task_has_stopped_somehow(shared_site: Site) -> None:
    data = shared_site.root.get(path(UNKNOWN, "/status")).data
    assert (data["status"], data["exitstatus"], "endtime" in data) == ("stopped", "unknown", False)
    assert shared_site.root.get(path(UNKNOWN, "/log")).status == 400
    assert shared_site.root.delete(path(UNKNOWN)).data is None


@pytest.mark.parametrize("output", ["json", "extjs"])
def test_the_log(site: Site, output: str) -> None:
    answer = site.root.get(path(done(site), "/log"), output=output)
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.envelope) == {"data", "total", "success"}
    assert (answer.envelope["total"], answer.envelope["success"]) == (3, 1)
    assert [line["n"] for line in answer.data] == [1, 2, 3]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", line["t"][:25]) for line in answer.data)
    assert [line["t"][25:] for line in answer.data] == [": first", ": second", ": TASK OK"]


@pytest.mark.parametrize(
    ("query", "numbers"), [({"start": 0}, [1, 2, 3]), ({"start": 1, "limit": 1}, [1]), ({"start": 2}, [2, 3]), ({"start": 9}, [])]
)
def test_pages_of_the_log(site: Site, query: dict[str, int], numbers: list[int]) -> None:
    answer = site.root.get(path(done(site), "/log"), query)
    assert ([line["n"] for line in answer.data], answer.envelope["total"]) == (numbers, 3)


def test_a_page_has_fifty_lines_and_zero_means_all(site: Site) -> None:
    task = begin(site)
    task.log("\n".join(map(str, range(100))))
    task.finish()
    assert len(site.root.get(path(str(task.upid), "/log")).data) == 50
    assert len(site.root.get(path(str(task.upid), "/log"), {"limit": 0}).data) == 103


def test_whether_it_still_runs(site: Site) -> None:
    task = begin(site)
    for active in (True, False):
        answer = site.root.get(path(str(task.upid), "/log"), {"test-status": 1})
        assert answer.envelope["active"] is active
        task.finish()


def test_the_log_as_a_file(site: Site) -> None:
    task = begin(site)
    task.log("\n".join(map(str, range(2500))))
    task.finish()
    answer = site.root.get(path(str(task.upid), "/log"), {"download": 1})
    assert answer.headers["content-type"] == "text/plain"
    assert re.fullmatch(r'attachment; filename="task-testnode-prune-\S+Z\.log"', answer.headers["content-disposition"])
    assert [line[27:] for line in answer.text.splitlines()] == ["first", "second", *map(str, range(2500)), "TASK OK"]
    mixed = site.root.get(path(str(task.upid), "/log"), {"download": 1, "start": 1})
    assert (mixed.status, mixed.text) == (400, "Parameter 'download' cannot be used with other parameters")


# --- stopping ---


def test_a_stop_is_a_request(site: Site) -> None:
    task = begin(site)
    assert site.root.delete(path(str(task.upid))).data is None
    assert task.abort_requested
    task.finish("abort requested - aborting task")
    assert site.root.delete(path(str(task.upid))).data is None
    assert site.root.get(path(str(task.upid), "/status")).data["exitstatus"] == "abort requested - aborting task"


def test_who_may_stop(site: Site) -> None:
    alice = site.user("alice")
    token = site.token(alice)
    of_user, of_token = begin(site, auth_id="alice@pbs"), begin(site, auth_id="alice@pbs!tok")
    for by, task in ((token, of_user), (alice, of_token), (site.user("bob"), of_user)):
        answer = by.delete(path(str(task.upid)))
        assert (answer.status, answer.text) == (400, "missing permissions 'Sys.Modify' on '/system/tasks'")
        assert not task.abort_requested
    assert alice.delete(path(str(of_user.upid))).status == 200
    assert site.user("boss", {"/system/tasks": "Admin"}).delete(path(str(of_token.upid))).status == 200
    for task in (of_user, of_token):
        assert task.abort_requested
        task.finish()


# --- access ---


def test_own_tasks_and_those_of_own_tokens(site: Site) -> None:
    alice = site.user("alice")
    token = site.token(alice)
    by_user, by_token, by_other = (done(site, auth_id=who) for who in ("alice@pbs", "alice@pbs!tok", "bob@pbs"))
    assert set(upids(alice)) == {by_user, by_token}
    assert upids(token) == [by_token]
    for tail in ("/status", "/log"):
        assert alice.get(path(by_token, tail)).status == 200
        for by, upid in ((alice, by_other), (token, by_user)):
            answer = by.get(path(upid, tail))
            assert (answer.status, answer.text) == (400, "task access not allowed")
    assert set(upids(site.user("auditor", {"/system/tasks": "Audit"}))) == {by_user, by_token, by_other}


@pytest.mark.parametrize(
    ("kind", "worker_id", "roles", "readable"),
    [
        ("prune", f"{STORE}::host/a", {PLACE: "DatastoreAdmin"}, True),
        ("prune", f"{STORE}:a/b:host/a", {f"{PLACE}/a": "DatastoreAdmin"}, True),
        ("prune", f"{STORE}::host/a", {f"{PLACE}/a": "DatastoreAdmin"}, False),
        ("prunejob", f"{STORE}:a", {f"{PLACE}/a": "DatastoreAdmin"}, True),
        ("garbage_collection", STORE, {PLACE: "DatastoreAdmin"}, True),
        ("garbage_collection", STORE, {PLACE: "DatastoreReader"}, False),
        ("verificationjob", f"{STORE}:job", {PLACE: "DatastoreReader"}, True),
        ("verificationjob", f"{STORE}:job", {f"{PLACE}/job": "DatastoreReader"}, False),
        ("backup", f"{STORE}:host/a", {PLACE: "DatastoreAdmin"}, False),
        ("prune", None, {"/datastore": "DatastoreAdmin"}, False),
        ("prune", f"{STORE}:..:x", {PLACE: "DatastoreAdmin"}, True),
    ],
)
def test_maintenance_is_read_by_who_could_have_started_it(
    site: Site, kind: str, worker_id: str | None, roles: dict[str, str], readable: bool
) -> None:
    upid = done(site, kind=kind, worker_id=worker_id)
    alice = site.user("alice", roles)
    assert (upids(alice) == [upid]) is readable
    assert alice.get(path(upid, "/log")).status == (200 if readable else 400)
