"""Names in the archives of a snapshot (spec rest-api §10.3)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kit.backups import NOON, Made, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.catalog import CatalogWriter, EntryKind
from platevault.formats.names import CATALOG_NAME

PATH = f"/admin/datastore/{STORE}/catalog"
NAME = {"backup-type": "host", "backup-id": "a", "backup-time": NOON}


def catalog() -> bytes:
    """root.pxar.didx with a.txt, a link, an odd name, and sub with deep.bin."""
    out: list[bytes] = []
    writer = CatalogWriter(out.append)
    writer.start_directory(b"root.pxar.didx")
    writer.add_file(b"a.txt", 11, 1700000001)
    writer.add(EntryKind.SYMLINK, b"link")
    writer.add(EntryKind.FIFO, b"caf\xe9")
    writer.start_directory(b"sub")
    writer.add_file(b"deep.bin", 5_000_000_000, -1)
    writer.end_directory()
    writer.end_directory()
    writer.finish()
    return b"".join(out)


@pytest.fixture(scope="module")
def made(shared_site: Site) -> Made:
    """A snapshot whose catalog is in chunks of 20 bytes, so that every table lies in several."""
    raw = catalog()
    chunks = [raw[at : at + 20] for at in range(0, len(raw), 20)]
    return backup(shared_site.store, snapshot("host/a", NOON), chunks=chunks, archive=CATALOG_NAME)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def listed(site: Site, path: str, **more: Any) -> Any:
    return site.root.get(PATH, {**NAME, "filepath": path, **more})


@pytest.mark.parametrize("path", ["root", "/", encoded("/")])
def test_the_root_lists_the_archives(shared_site: Site, made: Made, path: str) -> None:
    item = {"filepath": encoded("/root.pxar.didx"), "text": "root.pxar.didx", "type": "d", "leaf": False}
    assert listed(shared_site, path).data == [item]


@pytest.mark.parametrize("path", ["/root.pxar.didx", "root.pxar.didx", "root.pxar.didx/"])
def test_an_archive(shared_site: Site, made: Made, path: str) -> None:
    items = {item["text"]: item for item in listed(shared_site, encoded(path)).data}
    assert items["a.txt"] == {
        "filepath": encoded("root.pxar.didx/a.txt"),
        "text": "a.txt",
        "type": "f",
        "leaf": True,
        "size": 11,
        "mtime": 1700000001,
    }
    assert (items["link"]["type"], items["link"]["leaf"], "size" in items["link"]) == ("l", True, False)
    assert base64.b64decode(items["caf\ufffd"]["filepath"]) == b"root.pxar.didx/caf\xe9"
    [deep] = listed(shared_site, items["sub"]["filepath"]).data
    assert (deep["text"], deep["size"], deep["mtime"]) == ("deep.bin", 5_000_000_000, -1)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (encoded("/none"), 'path "/none" not found in catalog'),
        (encoded("root.pxar.didx/a.txt"), "not found in catalog"),
        ("%%%", "error decoding base64 data"),
        ("ä", "error decoding base64 data"),
    ],
)
def test_paths_that_are_not_there(shared_site: Site, made: Made, path: str, text: str) -> None:
    answer = listed(shared_site, path)
    assert (answer.status, text in answer.text) == (400, True)


def test_a_snapshot_without_a_catalog(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON))
    answer = listed(site, "/")
    assert (answer.status, CATALOG_NAME in answer.text) == (400, True)
    assert listed(site, "/", **{"backup-time": 5}).status == 400


def test_a_catalog_that_is_none(site: Site) -> None:
    backup(site.store, snapshot("host/a", NOON), archive=CATALOG_NAME)
    answer = listed(site, "/")
    assert (answer.status, "catalog" in answer.text) == (400, True)


def test_who_may_read_names(shared_site: Site, made: Made) -> None:
    for name, role, status in (("auditor", "DatastoreAudit", 403), ("backer", "DatastoreBackup", 400), ("reader", "DatastoreReader", 200)):
        by = shared_site.user(name, {"/datastore": role})
        assert by.get(PATH, {**NAME, "filepath": "/"}).status == status
