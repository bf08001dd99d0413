"""Protection of snapshots (spec rest-api §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site

PATH = f"/admin/datastore/{STORE}/protected"
NAME = {"backup-type": "host", "backup-id": "a", "backup-time": NOON}


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON), owner="alice@pbs")


@pytest.mark.parametrize("send", ["form", "json_body", "query"])
def test_protection_is_set_and_taken_back(site: Site, send: str) -> None:
    assert site.root.get(PATH, NAME).data is False
    for state in (True, True, False, False):
        body: Any = {**NAME, "protected": state}
        assert site.root.request("PUT", PATH, **{send: body}).data is None
        assert site.root.get(PATH, NAME).data is state
        assert site.root.get(f"/admin/datastore/{STORE}/snapshots").data[0]["protected"] is state


def test_a_missing_snapshot_is_not_protected(site: Site) -> None:
    missing = {**NAME, "backup-time": 5}
    assert site.root.get(PATH, missing).data is False
    answer = site.root.put(PATH, {**missing, "protected": 1})
    assert (answer.status, answer.text[:51]) == (400, "snapshot host/a/1970-01-01T00:00:05Z does not exist")


@pytest.mark.parametrize("form", [{**NAME}, {**NAME, "protected": "perhaps"}])
def test_the_state_must_be_said(site: Site, form: dict[str, Any]) -> None:
    assert site.root.put(PATH, form).status == 400


def test_who_may(site: Site) -> None:
    expected = {
        "auditor": ("DatastoreAudit", 200, 403),
        "alice": ("DatastoreBackup", 200, 200),
        "other": ("DatastoreBackup", 400, 400),
        "admin": ("DatastoreAdmin", 200, 200),
        "nobody": ("NoAccess", 403, 403),
    }
    for name, (role, reading, writing) in expected.items():
        by = site.user(name, {"/datastore": role})
        assert by.get(PATH, NAME).status == reading
        assert by.put(PATH, {**NAME, "protected": 0}).status == writing
