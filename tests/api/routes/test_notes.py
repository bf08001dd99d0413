"""Notes of snapshots and groups (spec rest-api §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import FORM
from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import Namespace

PATH = f"/admin/datastore/{STORE}"
GROUP = {"backup-type": "host", "backup-id": "a"}
NAME = {**GROUP, "backup-time": NOON}


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON), owner="alice@pbs")


@pytest.mark.parametrize("text", ["one line", "first\nsecond", "Grüße & = % +", "", "\x00"])
def test_notes_come_back_whole(site: Site, text: str) -> None:
    for what, name in (("notes", NAME), ("group-notes", GROUP)):
        assert site.root.get(f"{PATH}/{what}", name).data == ""
        assert site.root.put(f"{PATH}/{what}", {**name, "notes": text}).data is None
        assert site.root.get(f"{PATH}/{what}", name).data == text


def test_notes_in_the_query_as_the_backup_client_sends_them(site: Site) -> None:
    answer = site.root.request("PUT", f"{PATH}/notes", query={**NAME, "notes": "by query"}, raw=b"", content_type=FORM)
    assert answer.data is None
    assert site.root.get(f"{PATH}/notes", NAME).data == "by query"


def test_lists_show_the_first_line(site: Site) -> None:
    site.root.put(f"{PATH}/notes", {**NAME, "notes": "first\nsecond"})
    site.root.put(f"{PATH}/group-notes", {**GROUP, "notes": "of the group\nmore"})
    assert site.root.get(f"{PATH}/snapshots").data[0]["comment"] == "first"
    assert site.root.get(f"{PATH}/groups").data[0]["comment"].rstrip("\n") == "of the group"
    site.root.put(f"{PATH}/notes", {**NAME, "notes": ""})
    site.root.put(f"{PATH}/group-notes", {**GROUP, "notes": ""})
    assert "comment" not in site.root.get(f"{PATH}/snapshots").data[0]
    assert site.root.get(f"{PATH}/groups").data[0]["comment"] == ""


def test_notes_in_a_namespace(site: Site) -> None:
    site.store.create_namespace(Namespace.parse("a"))
    backup(site.store, snapshot("host/a", NOON), ns=Namespace.parse("a"))
    site.root.put(f"{PATH}/notes", {**NAME, "ns": "a", "notes": "inner"})
    assert site.root.get(f"{PATH}/notes", {**NAME, "ns": "a"}).data == "inner"
    assert site.root.get(f"{PATH}/notes", NAME).data == ""


def test_notes_of_what_is_not_there(site: Site) -> None:
    missing: dict[str, Any] = {**NAME, "backup-time": 5}
    assert site.root.get(f"{PATH}/notes", missing).status == 400
    assert site.root.put(f"{PATH}/notes", {**missing, "notes": "x"}).status == 400
    nobody = {"backup-type": "ct", "backup-id": "999"}
    assert site.root.get(f"{PATH}/group-notes", nobody).data == ""
    answer = site.root.put(f"{PATH}/group-notes", {**nobody, "notes": "x"})
    assert (answer.status, "ENOENT" in answer.text) == (400, True)


def test_who_may_read_and_write(site: Site) -> None:
    site.user("auditor", {"/datastore": "DatastoreAudit"})
    site.user("alice", {"/datastore": "DatastoreBackup"})
    site.user("other", {"/datastore": "DatastoreBackup"})
    for what, name in (("notes", NAME), ("group-notes", GROUP)):
        expected = {"auditor@pbs": (200, 403), "alice@pbs": (200, 200), "other@pbs": (400, 400)}
        for user, (reading, writing) in expected.items():
            by = site.session(user)
            assert by.get(f"{PATH}/{what}", name).status == reading
            assert by.put(f"{PATH}/{what}", {**name, "notes": "x"}).status == writing
