"""Sync jobs: configuration and state (spec rest-api §6.5, §10.10)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.site import STORE, Site

LIST = "/config/sync"
ONE = f"{LIST}/pull-1"
FIELDS: dict[str, Any] = {"id": "pull-1", "store": STORE, "remote": "site-b", "remote-store": "other"}
PUSH: dict[str, Any] = {**FIELDS, "id": "push-1", "sync-direction": "push"}


def test_what_is_given_is_kept(site: Site) -> None:
    fields = {
        **FIELDS,
        "schedule": "hourly",
        "remove-vanished": False,
        "group-filter": ["type:vm", "include:group:ct/1", "exclude:regex:^host/tmp"],
        "rate-in": "10MB",
        "burst-in": "1.5 MiB",
        "owner": "root@pam",
        "comment": "c",
        "transfer-last": 3,
        "max-depth": 2,
        "remote-ns": "x",
        "verified-only": True,
        "resync-corrupt": True,
        "worker-threads": 4,
    }
    assert site.root.post(LIST, fields).data is None
    expected = {**fields, "rate-in": "10 MB", "group-filter": ["type:vm", "group:ct/1", "exclude:regex:^host/tmp"]}
    answer = site.root.get(ONE)
    assert (answer.data, len(answer.envelope["digest"])) == (expected, 64)
    assert site.root.get(LIST).data == [expected]
    [found] = site.root.get("/admin/sync").data
    assert found.pop("next-run") % 3600 == 0
    assert found == expected


def test_pull_jobs_alone_are_listed_by_default(site: Site) -> None:
    for fields in (FIELDS, PUSH):
        assert site.root.post(LIST, fields).status == 200
    for path in (LIST, "/admin/sync"):
        for direction, ids in ((None, ["pull-1"]), ("pull", ["pull-1"]), ("push", ["push-1"]), ("all", ["pull-1", "push-1"])):
            query = {} if direction is None else {"sync-direction": direction}
            assert [job["id"] for job in site.root.get(path, query).data] == ids
    assert site.root.get("/admin/sync", {"store": "other"}).data == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({**FIELDS, "remote": "ab"}, "'remote'"),
        ({**FIELDS, "group-filter": ["nonsense"]}, "input doesn't match expected format"),
        ({**FIELDS, "rate-in": "1XB"}, "byte-size parse error for '1XB'"),
        ({**FIELDS, "max-depth": 8}, "'max-depth'"),
        ({**FIELDS, "ns": "1/2/3/4/5/6", "max-depth": 2}, "deeper than 7"),
        ({**FIELDS, "active-encryption-key": "key"}, "active encryption key"),
        ({**FIELDS, "unmount-on-done": True}, "run-on-mount"),
        ({**PUSH, "resync-corrupt": True}, "push jobs do not support resync-corrupt option"),
        ({"id": "local", "store": STORE, "remote-store": STORE}, "source and target datastore can't be the same"),
        ({"id": "local"}, "'remote-store'"),
    ],
)
def test_what_makes_no_sense(site: Site, fields: dict[str, Any], text: str) -> None:
    answer = site.root.request("POST", LIST, json_body=fields)
    assert (answer.status, text in answer.text) == (400, True), answer.text
    assert site.root.get(LIST, {"sync-direction": "all"}).data == []


def test_an_id_exists_once(site: Site) -> None:
    site.root.post(LIST, FIELDS)
    assert site.root.post(LIST, FIELDS).text == "parameter verification failed - 'id': job 'pull-1' already exists."


def test_updates(site: Site) -> None:
    site.root.post(LIST, {**FIELDS, "rate-in": "1 MB", "group-filter": ["type:vm"]})
    assert site.root.put(ONE, {"comment": "c", "delete": ["rate-in", "group-filter"]}).data is None
    assert site.root.get(ONE).data == {**FIELDS, "comment": "c"}
    assert site.root.put(ONE, {"delete": "remote-store"}).status == 400
    assert site.root.put(ONE, {"remote-store": STORE, "delete": "remote"}).status == 400
    assert site.root.put(ONE, {"comment": "x", "digest": "0" * 64}).status == 400


def test_a_replaced_key_is_kept(site: Site) -> None:
    """What was written with it must stay readable."""
    site.root.post(LIST, {**PUSH, "active-encryption-key": "key-1"})
    site.root.put(f"{LIST}/push-1", {"active-encryption-key": "key-2"})
    site.root.put(f"{LIST}/push-1", {"delete": "active-encryption-key"})
    found = site.root.get(f"{LIST}/push-1").data
    assert (found["associated-key"], "active-encryption-key" in found) == (["key-1", "key-2"], False)


def test_missing_ones(site: Site) -> None:
    for answer in (site.root.get(ONE), site.root.put(ONE, {})):
        assert (answer.status, answer.text) == (400, "no such sync 'pull-1'")
    assert (site.root.delete(ONE).status, site.root.delete(ONE).text) == (404, "job 'pull-1' does not exist.")


# --- permissions ---

LOCAL, REMOTE = f"/datastore/{STORE}", "/remote/site-b"


@pytest.mark.parametrize(
    ("roles", "fields", "reads", "changes"),
    [
        ({LOCAL: "DatastoreAudit", REMOTE: "RemoteAudit"}, FIELDS, True, False),
        ({LOCAL: "DatastoreAudit"}, FIELDS, False, False),
        ({REMOTE: "RemoteAdmin"}, FIELDS, False, False),
        ({LOCAL: "DatastoreAdmin", REMOTE: "RemoteSyncOperator"}, FIELDS, True, True),
        ({LOCAL: "DatastoreAdmin", REMOTE: "RemoteAudit"}, FIELDS, True, False),
        ({LOCAL: "DatastoreAdmin", "/datastore/other": "DatastoreAdmin"}, {**FIELDS, "remote": None}, True, True),
        ({LOCAL: "DatastoreAdmin", "/datastore/other": "DatastoreAudit"}, {**FIELDS, "remote": None}, True, False),
        ({LOCAL: "DatastoreReader", f"{REMOTE}/other": "RemoteSyncPushOperator"}, PUSH, True, True),
        ({LOCAL: "DatastoreReader", f"{REMOTE}/other": "RemoteAudit"}, PUSH, True, False),
        ({LOCAL: "DatastoreReader", f"{REMOTE}/other": "RemoteSyncPushOperator"}, {**PUSH, "remove-vanished": True}, True, False),
        ({LOCAL: "DatastoreReader", f"{REMOTE}/other": "RemoteDatastorePowerUser"}, {**PUSH, "remove-vanished": True}, True, True),
        ({LOCAL: "DatastoreAudit", f"{REMOTE}/other": "RemoteSyncPushOperator"}, PUSH, True, False),
        ({LOCAL: "DatastoreAdmin", f"{REMOTE}/other": "RemoteSyncPushOperator"}, PUSH, True, True),
        ({}, FIELDS, False, False),
    ],
)
def test_who_sees_and_who_changes(site: Site, roles: dict[str, str], fields: dict[str, Any], reads: bool, changes: bool) -> None:
    given = {name: value for name, value in fields.items() if value is not None}
    assert site.root.post(LIST, given).status == 200
    by, path = site.user("alice", roles), f"{LIST}/{given['id']}"
    assert len(by.get(LIST, {"sync-direction": "all"}).data) == len(by.get("/admin/sync", {"sync-direction": "all"}).data) == reads
    assert by.get(path).status == (200 if reads else 400)
    for answer in (by.put(path, {"comment": "x"}), by.post(LIST, {**given, "id": "another"}), by.delete(path)):
        assert answer.status == (200 if changes else 400)
        if not changes:
            assert answer.text == "permission check failed"


def test_the_owner_of_a_job_needs_less(site: Site) -> None:
    by = site.user("alice", {LOCAL: "DatastorePowerUser", REMOTE: "RemoteSyncOperator"})
    site.grant("alice@pbs", {LOCAL: "DatastoreAudit"})
    assert by.post(LIST, FIELDS).text == "permission check failed"
    assert by.post(LIST, {**FIELDS, "owner": "alice@pbs"}).status == 200
    assert by.put(ONE, {"owner": "root@pam"}).status == 400
