"""A datastore that Proxmox Backup Server and its client wrote: attached to our server, every archive read by our client, keys and all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.fixture_store import KEYS, NAME, copied, expected
from kit.live_client import LiveClient
from kit.live_server import LiveServer
from kit.scratch import scratch_directory
from platevault.formats import key_file

PASSPHRASES = {"key-none.json": None, "key-scrypt.json": "fixture-scrypt-pw", "key-pbkdf2.json": "fixture-pbkdf2-pw"}
BROKEN = "host/broken/"


@pytest.fixture(scope="module")
def attached(one_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if one_server.process is None:
        one_server.start()
    with scratch_directory() as where:
        place = copied(tmp_path_factory.getbasetemp().parent, where) / NAME
        one_server.admin("datastore", "create", "recorded", str(place), "--reuse")
        yield "recorded"
        one_server.rest("DELETE", "config/datastore/recorded")


@pytest.fixture
def reader(client: LiveClient, attached: str) -> LiveClient:
    client.environment["PBS_REPOSITORY"] = client.environment["PBS_REPOSITORY"].replace(":main", f":{attached}")
    return client


def finished() -> list[dict[str, Any]]:
    return [snapshot for snapshot in expected()["snapshots"] if snapshot.get("manifest")]


def key_options(snapshot: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Options and environment for the key that the manifest names."""
    wanted = snapshot["manifest"]["unprotected"].get("key-fingerprint")
    for name, passphrase in PASSPHRASES.items():
        if key_file.parse((KEYS / name).read_bytes()).fingerprint == wanted:
            return ["--keyfile", str(KEYS / name)], {} if passphrase is None else {"PBS_ENCRYPTION_PASSWORD": passphrase}
    assert wanted is None
    return [], {}


@pytest.mark.parametrize("snapshot", finished(), ids=lambda snapshot: f"{snapshot['ns']}:{snapshot['path']}")
def test_every_archive_is_what_it_was(reader: LiveClient, snapshot: dict[str, Any]) -> None:
    options, environment = key_options(snapshot)
    for name in [file["filename"] for file in snapshot["manifest"]["files"]]:
        outcome = reader("restore", snapshot["path"], name, "-", "--ns", snapshot["ns"], *options, **environment)
        if snapshot["path"].startswith(BROKEN) and outcome.status:
            assert (outcome.status, "fetching a chunk" in outcome.error) == (2, True)
            continue
        assert (outcome.status, outcome.err) == (0, "")
        known = snapshot["files"][name]
        assert (len(outcome.raw), hashlib.sha256(outcome.raw).hexdigest()) == (known["decoded-size"], known["decoded-sha256"])


@pytest.mark.parametrize("namespace", sorted({snapshot["ns"] for snapshot in expected()["snapshots"]}))
def test_the_list_is_that_of_the_real_server(reader: LiveClient, namespace: str) -> None:
    listed = reader.good("snapshots", "--ns", namespace, "--output", "json").json
    theirs = {snapshot["path"]: snapshot["list-entry"] for snapshot in expected()["snapshots"] if snapshot["ns"] == namespace}
    assert sorted(item["snapshot"] for item in listed) == sorted(theirs)
    for item in listed:
        known = theirs[item["snapshot"]]
        for key in ("size", "owner", "protected", "comment", "fingerprint"):
            assert item.get(key) == known.get(key), key


def test_the_wrong_key_and_no_key_are_refused(reader: LiveClient) -> None:
    snapshot = next(one for one in finished() if one["manifest"]["files"][0]["crypt-mode"] == "encrypt")
    archive = snapshot["manifest"]["files"][0]["filename"]
    words = ("restore", snapshot["path"], archive, "-", "--ns", snapshot["ns"])
    options, environment = key_options(snapshot)
    other = next(name for name in PASSPHRASES if str(KEYS / name) not in options)
    assert reader(*words, **environment).status == 3
    wrong = reader(*words, "--keyfile", str(KEYS / other), PBS_ENCRYPTION_PASSWORD=PASSPHRASES[other] or "")
    assert wrong.status in (3, 6)
    assert wrong.raw == b""


def test_a_lost_key_comes_back_with_the_master_key(reader: LiveClient, tmp_path: Path) -> None:
    """The key was wrapped by proxmox-backup-client."""
    snapshot = next(one for one in finished() if "rsa-encrypted.key.blob" in one["files"])
    reader.good("restore", snapshot["path"], "rsa-encrypted.key", str(tmp_path / "wrapped"), "--ns", snapshot["ns"])
    words = ("key", "import-with-master-key", str(tmp_path / "wrapped"), str(KEYS / "master-private.pem"), str(tmp_path / "back.json"))
    reader.good(*words, "--kdf", "none", PBS_MASTER_PASSWORD="fixture-master-pw")
    fingerprint = key_file.parse((tmp_path / "back.json").read_bytes()).fingerprint
    assert fingerprint == snapshot["manifest"]["unprotected"]["key-fingerprint"]
