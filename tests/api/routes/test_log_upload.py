"""The log of a backup client (spec rest-api §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Answer, Session
from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats import blob
from platevault.formats.names import CLIENT_LOG_NAME, ROOT

NAME = {"backup-type": "host", "backup-id": "a", "backup-time": NOON}
LOG = blob.encode(b"log text\n")


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON), owner="alice@pbs")


def upload(by: Session, body: bytes = LOG, change: Any = None) -> Answer:
    query = {**NAME, **(change or {})}
    return by.request("POST", f"/admin/datastore/{STORE}/upload-backup-log", query=query, raw=body, content_type="application/octet-stream")


def test_the_owner_uploads_it_once(site: Site) -> None:
    alice = site.user("alice", {"/datastore": "DatastoreBackup"})
    assert upload(alice).data is None
    assert site.store.read_file(ROOT, snapshot("host/a", NOON), CLIENT_LOG_NAME) == LOG
    again = upload(alice, blob.encode(b"other"))
    assert (again.status, again.text) == (400, "backup already contains a log.")
    assert site.store.read_file(ROOT, snapshot("host/a", NOON), CLIENT_LOG_NAME) == LOG


@pytest.mark.parametrize(
    ("body", "text"),
    [(b"", "blob too small (0 bytes)."), (b"log", "blob too small (3 bytes)."), (LOG[:-1] + b"x", "CRC"), (b"plain text, no blob", "")],
)
def test_what_is_no_blob(site: Site, body: bytes, text: str) -> None:
    alice = site.user("alice", {"/datastore": "DatastoreBackup"})
    answer = upload(alice, body)
    assert (answer.status, text in answer.text) == (400, True)
    assert upload(alice).status == 200


def test_a_blob_has_a_limit(site: Site) -> None:
    alice = site.user("alice", {"/datastore": "DatastoreBackup"})
    assert upload(alice, bytes(blob.MAX_BLOB_BYTES + 1)).text == "Request body too large"


def test_nobody_else_does(site: Site) -> None:
    assert upload(site.root).text == "backup owner check failed (root@pam != alice@pbs)"
    assert upload(site.user("nobody")).status == 403


def test_a_snapshot_that_is_not_there(site: Site) -> None:
    alice = site.user("alice", {"/datastore": "DatastoreBackup"})
    assert upload(alice, change={"backup-time": 5}).status == 400
