"""Lists of groups, snapshots and files (spec rest-api §8.2, §10.3)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import NOON, Made, backup, snapshot
from kit.site import STORE, Site, open_site
from platevault.clock import ManualClock
from platevault.formats import blob
from platevault.formats.names import CLIENT_LOG_NAME, MANIFEST_NAME, Namespace
from platevault.services.snapshots import list_group_snapshots

PATH = f"/admin/datastore/{STORE}"
PLACE = f"/datastore/{STORE}"
AB = Namespace.parse("a/b")
ARCHIVE = "root.pxar.didx"


@pytest.fixture(scope="module")
def filled(shared_site: Site) -> Site:
    """vm/100 with two snapshots of root, host/web of alice, host/run unfinished, ct/7 in a/b."""
    site = shared_site
    site.store.create_namespace(AB)
    for moment in (NOON, NOON + 60):
        backup(site.store, snapshot("vm/100", moment))
    backup(site.store, snapshot("host/web", NOON), owner="alice@pbs")
    backup(site.store, snapshot("host/run", NOON), finish=False)
    backup(site.store, snapshot("ct/7", NOON), ns=AB, owner="alice@pbs!tok")
    site.user("alice", {PLACE: "DatastoreBackup"})
    return site


def items(by: Session, what: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = by.get(f"{PATH}/{what}", {name.replace("_", "-"): value for name, value in query.items()}).data
    return found


def test_a_group(filled: Site) -> None:
    found = {item["backup-id"]: item for item in items(filled.root, "groups")}
    assert set(found) == {"100", "web", "run"}
    assert found["100"] == {
        "backup-type": "vm",
        "backup-id": "100",
        "last-backup": NOON + 60,
        "backup-count": 2,
        "files": [MANIFEST_NAME, ARCHIVE],
        "owner": "root@pam",
    }


def test_a_group_without_a_finished_snapshot(filled: Site) -> None:
    found = next(item for item in items(filled.root, "groups") if item["backup-id"] == "run")
    assert (found["last-backup"], found["backup-count"], found["files"]) == (NOON, 1, [])


def test_a_snapshot(filled: Site) -> None:
    found = items(filled.root, "snapshots", backup_type="vm", backup_id="100")
    assert [item["backup-time"] for item in found] == [NOON + 60, NOON]
    assert set(found[0]) == {"backup-type", "backup-id", "backup-time", "files", "owner", "protected", "size"}
    assert {file["filename"]: set(file) for file in found[0]["files"]} == {
        ARCHIVE: {"filename", "crypt-mode", "size"},
        MANIFEST_NAME: {"filename", "crypt-mode", "size"},
    }
    assert found[0]["size"] == sum(file["size"] for file in found[0]["files"])


def test_an_unfinished_snapshot_has_names_alone(filled: Site) -> None:
    [found] = items(filled.root, "snapshots", backup_id="run")
    assert "size" not in found
    assert found["files"] == [{"filename": ARCHIVE}]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["run", "web", "100", "100"]),
        ({"ns": ""}, ["run", "web", "100", "100"]),
        ({"backup_type": "host"}, ["run", "web"]),
        ({"backup_type": "ct"}, []),
        ({"backup_id": "web"}, ["web"]),
        ({"backup_type": "vm", "backup_id": "none"}, []),
        ({"ns": "a"}, []),
        ({"ns": "a/b"}, ["7"]),
    ],
)
def test_filters(filled: Site, query: dict[str, str], ids: list[str]) -> None:
    assert [item["backup-id"] for item in items(filled.root, "snapshots", **query)] == ids


@pytest.mark.parametrize("query", [{"backup-type": "qemu"}, {"backup-id": "a/b"}, {"backup-id": ".a"}, {"ns": "a//b"}, {"ns": "../x"}])
def test_bad_filters(filled: Site, query: dict[str, str]) -> None:
    assert filled.root.get(f"{PATH}/snapshots", query).status == 400


@pytest.mark.parametrize("what", ["groups", "snapshots"])
def test_an_unknown_namespace_has_a_text_that_clients_know(filled: Site, what: str) -> None:
    answer = filled.root.get(f"{PATH}/{what}", {"ns": "none"})
    assert (answer.status, "ENOENT: No such file or directory" in answer.text) == (400, True)


def note(site: Site, made: Made) -> None:
    site.store.update_manifest(made.ns, made.name, lambda manifest: manifest.with_unprotected(notes="first\nsecond"))


CHANGES: dict[str, tuple[Callable[[Site, Made], object], dict[str, Any]]] = {
    "owner": (lambda site, made: site.store.set_owner(made.ns, made.name.group, "bob@pbs"), {"owner": "bob@pbs"}),
    "protection": (lambda site, made: site.store.set_protected(made.ns, made.name, True), {"protected": True}),
    "notes": (note, {"comment": "first"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_lists_follow_changes(tmp_path: Path, change: str) -> None:
    """Items are kept as they were sent, for as long as the directory of the snapshot stays the same; a change must show all the same."""
    with open_site(tmp_path, ManualClock(4_000_000_000)) as site:
        made = backup(site.store, snapshot("host/a", NOON))
        os.utime(tmp_path / STORE / str(made.name), (1000, 1000))
        [before] = items(site.root, "snapshots")
        store = site.services.datastores.get(STORE, "read")
        [info], [again] = (list_group_snapshots(store, made.ns, made.name.group) for _ in range(2))
        assert info is again
        assert json.loads(info.encoded["api"]) == before
        act, difference = CHANGES[change]
        act(site, made)
        [after] = items(site.root, "snapshots")
        assert {key: after[key] for key in difference} == difference
        assert before.keys() <= after.keys()


def test_a_list_shows_a_log_that_came_later(site: Site) -> None:
    made = backup(site.store, snapshot("host/a", NOON))
    site.store.write_blob(made.ns, made.name, CLIENT_LOG_NAME, blob.encode(b"log"))
    [item] = items(site.root, "snapshots")
    assert {"filename": CLIENT_LOG_NAME} in item["files"]


def test_own_groups_alone_without_the_privilege_for_all(filled: Site) -> None:
    alice = filled.session("alice@pbs")
    assert [item["backup-id"] for item in items(alice, "groups")] == ["web"]
    assert [item["backup-id"] for item in items(alice, "snapshots")] == ["web"]
    assert [item["backup-id"] for item in items(alice, "snapshots", ns="a/b")] == ["7"]


def test_without_any_privilege_the_text_says_what_is_missing(filled: Site) -> None:
    nobody = filled.user("nobody")
    for what in ("groups", "snapshots"):
        answer = nobody.get(f"{PATH}/{what}", {"ns": "a/b"})
        assert answer.status == 403
        assert answer.text == f"permission check failed - missing Datastore.Audit|Datastore.Backup on {PLACE}/a/b"


# --- files ---


def of(group: str, moment: int = NOON, **more: Any) -> dict[str, Any]:
    kind, _, name = group.partition("/")
    return {"backup-type": kind, "backup-id": name, "backup-time": moment, **more}


def test_files_of_a_snapshot(filled: Site) -> None:
    found = filled.root.get(f"{PATH}/files", of("vm/100")).data
    assert {file["filename"] for file in found} == {ARCHIVE, MANIFEST_NAME}
    assert filled.root.get(f"{PATH}/files", of("ct/7", ns="a/b")).status == 200


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (of("vm/100", 5), "ENOENT: No such file or directory"),
        (of("vm/none"), "ENOENT: No such file or directory"),
        (of("host/run"), "manifest not found for snapshot 'host/run/2023-11-14T22:13:20Z'"),
        ({"backup-type": "vm", "backup-id": "100"}, "'backup-time'"),
        (of("vm/100", 0), "'backup-time': value must have a minimum value of 1 (got 0)"),
    ],
)
def test_files_that_are_not_there(filled: Site, query: dict[str, Any], text: str) -> None:
    answer = filled.root.get(f"{PATH}/files", query)
    assert answer.status == 400
    assert text in answer.text


def test_files_of_others(filled: Site) -> None:
    answer = filled.session("alice@pbs").get(f"{PATH}/files", of("vm/100"))
    assert (answer.status, answer.text) == (400, "backup owner check failed (alice@pbs != root@pam)")
    assert filled.session("alice@pbs").get(f"{PATH}/files", of("host/web")).status == 200
