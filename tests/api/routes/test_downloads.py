"""Files of a snapshot, as stored and decoded (spec rest-api §10.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit.backups import NOON, Made, backup, pieces, snapshot
from kit.site import STORE, Site
from platevault.formats import blob, manifest
from platevault.formats.manifest import CryptMode, Manifest, ManifestFile
from platevault.formats.names import MANIFEST_NAME, ROOT

PATH = f"/admin/datastore/{STORE}"
NAME = {"backup-type": "host", "backup-id": "a", "backup-time": NOON}
ARCHIVE = "root.pxar.didx"
CONFIG = "settings.conf.blob"
CHUNKS = pieces("download", 5, 1000)


@pytest.fixture(scope="module")
def made(shared_site: Site) -> Made:
    """A snapshot of root with an archive of five chunks and a blob."""
    found = backup(shared_site.store, snapshot("host/a", NOON), chunks=CHUNKS)
    shared_site.store.write_blob(found.ns, found.name, CONFIG, blob.encode(b"a setting"))
    return found


def get(site: Site, what: str, file: str, by: str = "root@pam", **more: Any) -> Any:
    return site.session(by).get(f"{PATH}/{what}", {**NAME, "file-name": file, **more})


def test_files_come_as_they_are_stored(shared_site: Site, made: Made) -> None:
    for name in (ARCHIVE, CONFIG, MANIFEST_NAME):
        answer = get(shared_site, "download", name)
        stored = shared_site.store.read_file(made.ns, made.name, name)
        assert (answer.status, answer.body) == (200, stored)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert int(answer.headers["content-length"]) == len(stored)


def test_decoded_files_are_their_content(shared_site: Site, made: Made) -> None:
    assert get(shared_site, "download-decoded", ARCHIVE).body == b"".join(CHUNKS)
    assert get(shared_site, "download-decoded", CONFIG).body == b"a setting"
    assert json.loads(get(shared_site, "download-decoded", MANIFEST_NAME).body)["backup-id"] == "a"
    assert get(shared_site, "download-decoded", ARCHIVE).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("what", ["download", "download-decoded"])
@pytest.mark.parametrize("name", ["none.blob", "owner", "none.didx", "../owner", "a/b.blob", "..", "", ".protected", "x" * 300])
def test_files_that_are_not_there(shared_site: Site, made: Made, what: str, name: str) -> None:
    assert get(shared_site, what, name).status == 400


@pytest.mark.parametrize("what", ["download", "download-decoded"])
@pytest.mark.parametrize("change", [{"backup-time": 5}, {"backup-id": "none"}, {"ns": "none"}])
def test_snapshots_that_are_not_there(shared_site: Site, made: Made, what: str, change: dict[str, Any]) -> None:
    answer = get(shared_site, what, CONFIG, **change)
    assert (answer.status, "does not exist" in answer.text) == (400, True)


def test_encrypted_files_are_not_decoded(site: Site) -> None:
    found = backup(site.store, snapshot("host/a", NOON))
    secret = blob.header(blob.BlobKind.ENCRYPTED, 0, bytes(16), bytes(16)) + bytes(10)
    site.store.write_blob(ROOT, found.name, CONFIG, secret)
    sealed = Manifest(found.name.group.type, "a", NOON, (ManifestFile(ARCHIVE, 1500, "0" * 64, CryptMode.ENCRYPT),), {}, None)
    site.store.write_blob(ROOT, found.name, MANIFEST_NAME, manifest.encode_blob(sealed))
    for name in (ARCHIVE, CONFIG):
        answer = get(site, "download-decoded", name)
        assert (answer.status, answer.text) == (400, f"cannot decode '{name}' - is encrypted")
    assert get(site, "download", CONFIG).body == secret


def test_who_may_read_content(shared_site: Site, made: Made) -> None:
    shared_site.user("auditor", {"/datastore": "DatastoreAudit"})
    shared_site.user("reader", {"/datastore": "DatastoreReader"})
    shared_site.user("backer", {"/datastore": "DatastoreBackup"})
    for what in ("download", "download-decoded"):
        refused = get(shared_site, what, CONFIG, "auditor@pbs")
        assert (refused.status, "Datastore.Read|Datastore.Backup" in refused.text) == (403, True)
        assert get(shared_site, what, CONFIG, "reader@pbs").status == 200
        assert get(shared_site, what, CONFIG, "backer@pbs").text == "backup owner check failed (backer@pbs != root@pam)"


def test_parameters_are_taken_from_the_query_alone(shared_site: Site, made: Made) -> None:
    form = {**NAME, "file-name": CONFIG}
    assert shared_site.root.request("GET", f"{PATH}/download", form=form).status == 400


def test_a_missing_chunk_cuts_the_content_off(site: Site) -> None:
    found = backup(site.store, snapshot("host/a", NOON), chunks=CHUNKS)
    name = found.digests[2].hex()
    (site.where / STORE / ".chunks" / name[:4] / name).unlink()
    answer = get(site, "download-decoded", ARCHIVE)
    assert int(answer.headers["content-length"]) == 5000
    assert answer.body == b"".join(CHUNKS[:2])
