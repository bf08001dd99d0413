"""Configuration of datastores (spec rest-api §2.4, §2.5, §10.9)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.config.jobs import PruneJob
from platevault.formats.names import ROOT
from platevault.store.filesystem.datastore import FilesystemDatastore

LIST = "/config/datastore"
ONE = f"{LIST}/{STORE}"


def test_the_record(site: Site) -> None:
    answer = site.root.get(ONE)
    assert answer.data == {"name": STORE, "path": str(site.where / STORE)}
    assert len(answer.envelope["digest"]) == 64
    listed = site.root.get(LIST)
    assert (listed.data, listed.envelope["digest"]) == ([answer.data], answer.envelope["digest"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("comment", "text"),
        ("gc-schedule", "mon..fri 02:00"),
        ("notify", "gc=always,sync=error"),
        ("notify-user", "root@pam"),
        ("tuning", "chunk-order=inode,sync-level=file"),
        ("verify-new", True),
        ("notification-mode", "notification-system"),
        ("maintenance-mode", "read-only"),
    ],
)
def test_properties_are_kept_and_unset(site: Site, name: str, value: object) -> None:
    assert site.root.put(ONE, {name: value}).data is None
    assert site.root.get(ONE).data[name] == value
    assert site.root.put(ONE, {"delete": name}).data is None
    assert name not in site.root.get(ONE).data


def test_a_default_is_stored_as_absent(site: Site) -> None:
    site.root.put(ONE, {"verify-new": True})
    site.root.put(ONE, {"verify-new": False})
    assert "verify-new" not in site.root.get(ONE).data


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("type=offline", "offline"),
        ("offline,message=moving", "offline,message=moving"),
        ('type=read-only,message="disk swap"', "read-only,message=disk swap"),
        ('read-only,message="a, b"', 'read-only,message="a, b"'),
    ],
)
def test_maintenance_has_one_form(site: Site, given: str, shown: str) -> None:
    assert site.root.put(ONE, {"maintenance-mode": given}).status == 200
    assert site.root.get(ONE).data["maintenance-mode"] == shown
    assert site.root.get("/admin/datastore").data[0]["maintenance"] == shown


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"path": "/elsewhere"}, "'path': schema does not allow additional properties."),
        ({"backend": "type=s3"}, "'backend'"),
        ({"keep-last": 1}, "'keep-last': datastore prune settings have been replaced by prune jobs"),
        ({"prune-schedule": "daily"}, "'prune-schedule': datastore prune settings have been replaced by prune jobs"),
        ({"notify": "gc=maybe"}, "'notify'"),
        ({"tuning": "no-such-key=1"}, "'tuning'"),
        ({"tuning": "sync-level=x"}, "'tuning'"),
        ({"tuning": "gc-atime-cutoff=0"}, "'tuning'"),
        ({"gc-schedule": "sometimes"}, "'gc-schedule'"),
        ({"maintenance-mode": "paused"}, "'maintenance-mode'"),
        ({"maintenance-mode": "delete"}, "'maintenance-mode'"),
        ({"delete": "path"}, "'delete': value 'path' is not defined in the enumeration."),
        ({"notify-user": "no-realm"}, "'notify-user'"),
        ({"notification-mode": "pigeon"}, "'notification-mode'"),
        ({"comment": "two\nlines"}, "'comment'"),
    ],
)
def test_what_cannot_be_set(site: Site, form: dict[str, Any], text: str) -> None:
    before = site.root.get(ONE).data
    answer = site.root.put(ONE, form)
    assert (answer.status, text in answer.text) == (400, True), answer.text
    assert site.root.get(ONE).data == before


def test_a_removal_that_has_begun_is_not_called_back(site: Site) -> None:
    configs = site.services.datastores.configs
    site.root.put(ONE, {"maintenance-mode": "offline"})
    configs.update(type(configs.get(STORE))(STORE, str(site.where / STORE), maintenance_mode="delete"))
    for form in ({"delete": "maintenance-mode"}, {"maintenance-mode": "offline"}):
        assert site.root.put(ONE, form).text == "datastore is being deleted"
    assert site.root.get(f"/admin/datastore/{STORE}/status").text == f"datastore '{STORE}' is unavailable: datastore is being deleted"


def test_a_stale_digest_changes_nothing(site: Site) -> None:
    digest = site.root.get(ONE).envelope["digest"]
    assert site.root.put(ONE, {"comment": "one", "digest": digest}).status == 200
    assert site.root.put(ONE, {"comment": "two", "digest": digest}).status == 400
    assert site.root.delete(ONE, {"digest": digest}).status == 400
    assert site.root.get(ONE).data["comment"] == "one"


def test_missing_ones(site: Site) -> None:
    path = f"{LIST}/none"
    assert site.root.get(path).text == "no such datastore 'none'"
    assert (site.root.get(path).status, site.root.put(path, {"comment": "x"}).status, site.root.delete(path).status) == (400, 400, 404)


def test_who_sees_and_changes(site: Site) -> None:
    for name, role, reading, writing in (
        ("auditor", "DatastoreAudit", 200, 403),
        ("admin", "DatastoreAdmin", 200, 200),
        ("nobody", "NoAccess", 403, 403),
    ):
        by = site.user(name, {"/datastore": role})
        assert (by.get(ONE).status, by.put(ONE, {"delete": "comment"}).status) == (reading, writing)
        assert len(by.get(LIST).data) == (reading == 200)
        assert by.post(LIST, {"name": "new", "path": "/srv/x"}).status == 403
        assert by.delete(ONE).status == 403


# --- creation ---


def test_attaching_a_directory_with_content(site: Site) -> None:
    other = site.add_store("second")
    backup(other, snapshot("host/a", NOON))
    site.services.datastores.configs.delete("second")
    upid = site.root.post(LIST, {"name": "again", "path": str(site.where / "second"), "reuse-datastore": 1, "comment": "old"}).data
    assert ":create-datastore:again:root@pam:" in upid
    assert site.ended(upid) == "OK"
    assert site.root.get(f"{LIST}/again").data == {"name": "again", "path": str(site.where / "second"), "comment": "old"}
    assert [item["backup-id"] for item in site.root.get("/admin/datastore/again/snapshots").data] == ["a"]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"name": STORE, "path": "/srv/x"}, f"'name': datastore '{STORE}' already exists."),
        ({"name": "new"}, "'path'"),
        ({"path": "/srv/x"}, "'name'"),
        ({"name": "ab", "path": "/srv/x"}, "'name': value must be at least 3 characters long"),
        ({"name": "sl/ash", "path": "/srv/x"}, "'name'"),
        ({"name": "new", "path": "srv/x"}, "'path': expected an absolute path, 'srv/x' is not"),
        ({"name": "new", "path": "/"}, "'path'"),
        ({"name": "new", "path": "/srv/../etc"}, "'path'"),
        ({"name": "new", "path": "/srv/x", "backend": "type=s3,client=c,bucket=b"}, "file system"),
        ({"name": "new", "path": "/srv/x", "backing-device": "x"}, "file system"),
        ({"name": "new", "path": "/srv/x", "keep-last": 0}, "'keep-last'"),
    ],
)
def test_what_cannot_be_made(site: Site, form: dict[str, Any], text: str) -> None:
    answer = site.root.post(LIST, form)
    assert (answer.status, text in answer.text) == (400, True), answer.text
    assert site.root.get("/nodes/localhost/tasks").data == []


@pytest.mark.parametrize("tail", ["", "/inside"])
def test_no_datastore_in_another(site: Site, tail: str) -> None:
    upid = site.root.post(LIST, {"name": "nested", "path": str(site.where / STORE) + tail}).data
    assert "overlaps" in site.ended(upid)
    assert [item["name"] for item in site.root.get(LIST).data] == [STORE]


def test_retention_becomes_a_prune_job(site: Site) -> None:
    site.services.datastores.configs.delete(STORE)
    form = {"name": STORE, "path": str(site.where / STORE), "reuse-datastore": 1, "keep-last": 5, "prune-schedule": "weekly"}
    assert site.ended(site.root.post(LIST, form).data) == "OK"
    [job] = site.root.get("/config/prune").data
    assert job.pop("id").startswith(f"default-{STORE}-")
    assert job == {"store": STORE, "schedule": "weekly", "keep-last": 5}
    assert "keep-last" not in site.root.get(ONE).data


# --- removal ---


def test_removal_takes_jobs_and_permissions_along(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON))
    site.user("alice", {f"/datastore/{STORE}/a": "DatastoreAudit", "/datastore/storeroom": "DatastoreAudit"})
    site.services.jobs.prune.insert(PruneJob("mine", STORE, "daily"))
    site.services.jobs.prune.insert(PruneJob("other", "other", "daily"))
    answer = site.root.delete(ONE)
    assert len(answer.envelope["digest"]) == 64
    assert site.ended(answer.data) == "OK"
    assert site.root.get("/admin/datastore").data == []
    assert [job["id"] for job in site.root.get("/config/prune").data] == ["other"]
    assert [entry["path"] for entry in site.root.get("/access/acl").data] == ["/datastore/storeroom"]
    reopened = FilesystemDatastore(STORE, site.where / STORE, locks_dir=site.where / "locks", clock=site.clock)
    assert len(reopened.groups(ROOT)) == 1
    reopened.close()


def test_removal_can_leave_the_jobs(site: Site) -> None:
    site.services.jobs.prune.insert(PruneJob("mine", STORE, "daily"))
    site.ended(site.root.delete(ONE, {"keep-job-configs": 1}).data)
    assert [job["id"] for job in site.root.get("/config/prune").data] == ["mine"]


def test_a_datastore_in_use_stays(site: Site) -> None:
    with site.services.datastores.operation(STORE, "write"):
        assert "in use" in site.ended(site.root.delete(ONE).data)
    assert site.root.get(ONE).status == 200


def test_destruction_needs_a_word(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON))
    assert site.ended(site.root.delete(ONE, {"destroy-data": 1}).data) == "OK"
    assert not (site.where / STORE / ".chunks").exists()
    assert not (site.where / STORE / "host").exists()
