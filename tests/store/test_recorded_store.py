"""A datastore that a real server wrote, attached as it is: everything that its API said about it holds here, too."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kit.fixture_store import KEYS, NAME, copied, expected, unpacked
from kit.stores import sparse_store
from platevault.clock import ManualClock, SystemClock
from platevault.errors import Corrupt, NotFound
from platevault.formats import blob, key_file, manifest, master_key
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode
from platevault.formats.names import MANIFEST_NAME, ROOT, Namespace, SnapshotName
from platevault.services.gc import run_gc
from platevault.services.progress import Recorded
from platevault.services.snapshots import SnapshotInfo, list_groups, list_snapshots
from platevault.services.verify import VerifyFailed, run_verify, targets_below
from platevault.store.datastore import Datastore
from platevault.store.filesystem.datastore import FilesystemDatastore

SNAPSHOTS: list[dict[str, Any]] = expected()["snapshots"]
FINISHED = [item for item in SNAPSHOTS if "manifest" in item]
PASSWORDS = {"key-none.json": None, "key-scrypt.json": b"fixture-scrypt-pw", "key-pbkdf2.json": b"fixture-pbkdf2-pw"}
BROKEN = "host/broken/2025-06-03T12:34:56Z"
UNFINISHED = {"host/aborted/2025-06-11T00:00:00Z", "ct/102/2025-06-12T03:46:40Z"}
UPID = "UPID:pbs-fixture:0000035F:000476D5:00000000:6B038FB8:garbage_collection:fix:admin@pbs:"
DAY_S = 86400


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="module")
def store(where: Path, tmp_path_factory: pytest.TempPathFactory) -> FilesystemDatastore:
    """For reading only."""
    return FilesystemDatastore(NAME, where / NAME, locks_dir=tmp_path_factory.mktemp("locks"), clock=SystemClock())


@pytest.fixture
def mine(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Datastore:
    """A copy that the test may change."""
    copied(tmp_path_factory.getbasetemp().parent, tmp_path)
    return sparse_store(tmp_path, name=NAME)


def place(item: dict[str, Any]) -> tuple[Namespace, SnapshotName]:
    return Namespace.parse(item["ns"]), SnapshotName.parse(item["path"])


def id_of(item: dict[str, Any]) -> str:
    return f"{item['ns']}:{item['path']}"


@cache
def key_of(name: str) -> CryptKey:
    return key_file.parse((KEYS / name).read_bytes()).unlock(PASSWORDS[name])


def decoded(store: Datastore, item: dict[str, Any], name: str) -> bytes:
    """The content of an archive or blob, with the key of its snapshot."""
    ns, snapshot = place(item)
    key = key_of(item["key-file"]) if "key-file" in item else None
    if name.endswith(".blob"):
        raw = store.read_file(ns, snapshot, name)
        return blob.decode(raw, key=key if blob.kind_of(raw).is_encrypted else None)
    index = store.open_index(ns, snapshot, name)
    encrypted = key if item["files"][name]["crypt-mode"] == "encrypt" else None
    return b"".join(blob.decode(store.chunks.load(index.digest(number)), key=encrypted) for number in range(index.count))


def test_namespaces(store: Datastore) -> None:
    assert [str(ns) for ns in store.namespaces(ROOT)] == [item["ns"] for item in expected()["namespaces"]]


@pytest.mark.parametrize("ns", expected()["groups"])
def test_groups(store: Datastore, ns: str) -> None:
    wanted = {f"{item['backup-type']}/{item['backup-id']}": item for item in expected()["groups"][ns]}
    found = {str(group.name): group for group in list_groups(store, Namespace.parse(ns))}
    assert found.keys() == wanted.keys()
    for name, group in found.items():
        item = wanted[name]
        assert (group.backup_count, group.last_backup, group.owner) == (item["backup-count"], item["last-backup"], item["owner"])
        assert group.comment == item.get("comment")
        assert sorted(group.files) == sorted(item["files"])
        assert store.group_notes(group.ns, group.name) == item["notes"]


def test_snapshots(store: Datastore) -> None:
    wanted: dict[str, set[str]] = defaultdict(set)
    for item in SNAPSHOTS:
        wanted[item["ns"]].add(item["path"])
    for ns in store.namespaces(ROOT):
        assert {str(info.name) for info in list_snapshots(store, ns)} == wanted[str(ns)]


def shown(info: SnapshotInfo) -> dict[str, Any]:
    """The entry of the API, files as a set and without what is not set."""
    entry: dict[str, Any] = {
        "backup-type": info.name.group.type.value,
        "backup-id": info.name.group.id,
        "backup-time": info.name.time,
        "comment": info.comment,
        "fingerprint": info.fingerprint,
        "owner": info.owner,
        "protected": info.protected,
        "size": info.size,
        "verification": None if info.verification is None else {"state": info.verification.state, "upid": info.verification.upid},
        "files": {(file.filename, file.size, file.crypt_mode and file.crypt_mode.value) for file in info.files},
    }
    return {key: value for key, value in entry.items() if value is not None}


@pytest.mark.parametrize("item", FINISHED, ids=id_of)
def test_entries(store: Datastore, item: dict[str, Any]) -> None:
    """Owner, notes, protection, verification, files and sizes."""
    ns, name = place(item)
    [info] = [info for info in list_snapshots(store, ns, name.group.type, name.group.id) if info.name == name]
    wanted = dict(item["list-entry"])
    wanted["files"] = {(file["filename"], file.get("size"), file.get("crypt-mode")) for file in wanted["files"]}
    assert shown(info) == wanted
    assert store.read_manifest(ns, name).unprotected.get("notes", "") == item["notes"]
    assert store.is_protected(ns, name) == (".protected" in item["directory"])


@pytest.mark.parametrize("item", [item for item in SNAPSHOTS if item not in FINISHED], ids=id_of)
def test_unfinished_ones(store: Datastore, item: dict[str, Any]) -> None:
    ns, name = place(item)
    [entry] = [entry for entry in store.snapshots(ns, name.group) if entry.name == name]
    assert not entry.finished
    assert [file.name for file in store.files(ns, name)] == [file for file in item["directory"] if ".tmp_" not in file]
    with pytest.raises(NotFound):
        store.read_manifest(ns, name)


@pytest.mark.parametrize("item", FINISHED, ids=id_of)
def test_contents(store: Datastore, item: dict[str, Any]) -> None:
    """Every archive decodes to what was backed up; the checksums of indexes are those of header, manifest and record."""
    ns, name = place(item)
    made = store.read_manifest(ns, name)
    for file, record in item["files"].items():
        if file == ".protected":
            continue
        raw = store.read_file(ns, name, file)
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (record["stored-size"], record["stored-sha256"])
        if "index-csum" in record:
            index = store.open_index(ns, name, file)
            assert index.checksum().hex() == record["index-csum"] == raw[32:64].hex()
            assert [[index.chunk_span(at)[1], index.digest(at).hex()] for at in range(index.count)] == record["chunks"]
        if (listed := made.file(file)) is not None:
            assert listed.csum == record.get("index-csum", record["stored-sha256"])
        if "decoded-sha256" in record:
            content = decoded(store, item, file)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (record["decoded-size"], record["decoded-sha256"])


@pytest.mark.parametrize("item", [item for item in FINISHED if "key-file" in item], ids=id_of)
def test_signatures(store: Datastore, item: dict[str, Any]) -> None:
    ns, name = place(item)
    made = store.read_manifest(ns, name)
    assert made.verify_signature(key_of(item["key-file"]))
    other = next(name for name in PASSWORDS if name != item["key-file"])
    with pytest.raises(Corrupt, match="another key"):
        made.verify_signature(key_of(other))
    with pytest.raises(Corrupt, match="wrong"):
        replace(made, files=made.files[1:]).verify_signature(key_of(item["key-file"]))


@pytest.mark.parametrize(("time", "name"), [("2025-04-01T10:00:00Z", "key-none.json"), ("2025-04-05T10:00:00Z", "key-pbkdf2.json")])
def test_wrapped_keys(store: Datastore, time: str, name: str) -> None:
    item = next(item for item in FINISHED if item["path"] == f"host/enc/{time}")
    private = master_key.load_private((KEYS / "master-private.pem").read_bytes(), b"fixture-master-pw")
    wrapped = decoded(store, item, "rsa-encrypted.key.blob")
    assert master_key.unwrap(wrapped, private).unlock().fingerprint == key_of(name).fingerprint


def test_a_verification_finds_the_one_that_is_broken(mine: Datastore) -> None:
    before = {(entry.digest, entry.bad) for entry in mine.chunks.entries()}
    with pytest.raises(VerifyFailed) as caught:
        run_verify(mine, targets_below(mine, ROOT), Recorded(), upid=UPID, clock=SystemClock())
    assert set(caught.value.failed) == {f"ns1/sub:{path}" for path in (BROKEN, *UNFINISHED)}
    states = {item["path"]: mine.read_manifest(*place(item)).unprotected["verify_state"] for item in FINISHED}
    assert {path for path, state in states.items() if state["state"] != "ok"} == {BROKEN}
    assert {state["upid"] for state in states.values()} == {UPID}
    assert {(entry.digest, entry.bad) for entry in mine.chunks.entries()} == before


def newest_use(store: Datastore) -> float:
    times = (store.chunks.times(entry.digest) for entry in store.chunks.entries() if entry.bad is None)
    return max(known.used for known in times if known is not None)


def test_a_collection_right_away_counts_what_the_server_counted(mine: Datastore) -> None:
    task = Recorded()
    status = run_gc(mine, task, clock=ManualClock(newest_use(mine) + 60), upid=UPID, check_times=False)
    assert status.record() == expected()["gc"] == mine.load_gc_status()
    assert len([line for line in task.warnings if "non-existent chunk" in line]) == 1


def test_a_collection_after_days_deletes_nothing_that_is_needed(mine: Datastore) -> None:
    files = expected()["chunk-files"]
    task = Recorded()
    status = run_gc(mine, task, clock=ManualClock(newest_use(mine) + 2 * DAY_S), upid=UPID, check_times=False)
    kept = {entry.digest.hex() for entry in mine.chunks.entries() if entry.bad is None}
    assert kept == {name for name, file in files.items() if file["referenced"] and len(name) == 64}
    assert (status.removed_chunks, status.removed_bad) == (expected()["gc"]["pending-chunks"], 1)
    [warning] = task.warnings
    missing = warning.split("chunk ")[1].split(",")[0]
    assert "host/broken" in warning
    assert [(entry.digest.hex(), entry.bad) for entry in mine.chunks.entries() if entry.bad is not None] == [(missing, 0)]
    for item in FINISHED:
        for file, record in item["files"].items():
            if "decoded-sha256" in record:
                assert hashlib.sha256(decoded(mine, item, file)).hexdigest() == record["decoded-sha256"]


def test_a_manifest_keeps_its_text(store: Datastore) -> None:
    """Rewriting a manifest for a note changes nothing else in it: signatures of other servers stay valid."""
    for item in FINISHED:
        ns, name = place(item)
        made = manifest.decode_blob(store.read_file(ns, name, MANIFEST_NAME))
        assert manifest.to_json(made).decode() == item["manifest-text"]
        assert {file.crypt_mode for file in made.files} <= set(CryptMode)
