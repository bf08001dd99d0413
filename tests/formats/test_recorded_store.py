"""Every file of a datastore that a real server wrote: indexes, blobs, chunks, signatures and catalogs, with and without keys."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard

from kit.fixture_store import KEYS, VECTORS, expected
from platevault.formats import blob, dynamic_index, fixed_index, key_file, manifest, master_key
from platevault.formats.blob import BlobKind
from platevault.formats.catalog import CatalogReader
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.keys import CryptKey, plain_digest
from platevault.formats.manifest import CorruptManifest, CryptMode

PASSWORDS = {"none": None, "scrypt": b"fixture-scrypt-pw", "pbkdf2": b"fixture-pbkdf2-pw"}
SNAPSHOTS: list[dict[str, Any]] = expected()["snapshots"]
ARCHIVES = [(snapshot, name) for snapshot in SNAPSHOTS for name, file in snapshot["files"].items() if "kind" in file]
BLOBS = [(snapshot, name) for snapshot in SNAPSHOTS for name, file in snapshot["files"].items() if "blob-magic" in file]
BROKEN = ("ns1/sub", "host/broken/2025-06-03T12:34:56Z")  # one of its chunks is missing

Files = dict[str, bytes]


def named(case: tuple[dict[str, Any], str]) -> str:
    return f"{case[0]['ns']}:{case[0]['path']}/{case[1]}"


def keys_by_name() -> dict[str, CryptKey]:
    return {name: key_file.parse((KEYS / f"key-{name}.json").read_bytes()).unlock(word) for name, word in PASSWORDS.items()}


@pytest.fixture(scope="module")
def keys() -> dict[str, CryptKey]:
    """By the text of their fingerprints."""
    return {key.fingerprint_text: key for key in keys_by_name().values()}


@pytest.fixture(scope="module")
def files() -> Iterator[Files]:
    """All files of the store by their path below it."""
    found: Files = {}
    with (
        (VECTORS / "store.tar.zst").open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and (content := archive.extractfile(member)) is not None:
                found[member.name.removeprefix("./").partition("/")[2]] = content.read()
    yield found
    found.clear()


def path_of(snapshot: dict[str, Any], name: str) -> str:
    return "/".join([*(f"ns/{part}" for part in snapshot["ns"].split("/") if part), snapshot["path"], name])


def key_of(snapshot: dict[str, Any], files: Files, keys: dict[str, CryptKey]) -> CryptKey | None:
    raw = files.get(path_of(snapshot, "index.json.blob"))
    fingerprint = None if raw is None else manifest.decode_blob(raw).key_fingerprint
    return None if fingerprint is None else keys[fingerprint]


def index_of(raw: bytes, kind: str) -> FixedIndex | DynamicIndex:
    return fixed_index.decode(raw) if kind == "fixed" else dynamic_index.decode(raw)


def content_of(index: FixedIndex | DynamicIndex, mode: CryptMode, files: Files, key: CryptKey | None) -> bytes:
    """The archive, each chunk checked: kind by crypt mode, length by index, digest by name."""
    parts = []
    for number in range(index.count):
        digest = index.digest(number).hex()
        raw = files[f".chunks/{digest[:4]}/{digest}"]
        start, end = index.chunk_span(number)
        assert blob.check_crc(raw).is_encrypted == (mode is CryptMode.ENCRYPT)
        plain = blob.decode(raw, key=key, max_bytes=end - start)
        assert len(plain) == end - start
        assert (key.digest(plain) if key is not None and mode is CryptMode.ENCRYPT else plain_digest(plain)).hex() == digest
        parts.append(plain)
    return b"".join(parts)


@pytest.mark.parametrize("case", ARCHIVES, ids=named)
def test_archives(case: tuple[dict[str, Any], str], files: Files, keys: dict[str, CryptKey]) -> None:
    snapshot, name = case
    wanted = snapshot["files"][name]
    raw = files[path_of(snapshot, name)]
    index = index_of(raw, wanted["kind"])
    assert (index.uuid.hex, index.ctime, index.checksum().hex()) == (wanted["uuid"], wanted["ctime"], wanted["index-csum"])
    assert [[index.chunk_span(number)[1], index.digest(number).hex()] for number in range(index.count)] == wanted["chunks"]
    assert (fixed_index.encode(index) if isinstance(index, FixedIndex) else dynamic_index.encode(index)) == raw
    if (snapshot["ns"], snapshot["path"]) == BROKEN and "decoded-sha256" not in wanted:
        return
    content = content_of(index, CryptMode(wanted["crypt-mode"]), files, key_of(snapshot, files, keys))
    assert (len(content), hashlib.sha256(content).hexdigest()) == (wanted["decoded-size"], wanted["decoded-sha256"])
    assert index.size == wanted["decoded-size"]
    if name.startswith("catalog."):
        assert list(CatalogReader(lambda offset, size: content[offset : offset + size], len(content)).walk())


@pytest.mark.parametrize("case", BLOBS, ids=named)
def test_blobs(case: tuple[dict[str, Any], str], files: Files, keys: dict[str, CryptKey]) -> None:
    snapshot, name = case
    wanted = snapshot["files"][name]
    raw = files[path_of(snapshot, name)]
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (wanted["stored-size"], wanted["stored-sha256"])
    assert blob.check_crc(raw) is BlobKind(bytes.fromhex(wanted["blob-magic"]))
    content = blob.decode(raw, key=key_of(snapshot, files, keys))
    assert (len(content), hashlib.sha256(content).hexdigest()) == (wanted["decoded-size"], wanted["decoded-sha256"])


@pytest.mark.parametrize("snapshot", [item for item in SNAPSHOTS if "manifest" in item], ids=lambda item: f"{item['ns']}:{item['path']}")
def test_manifests(snapshot: dict[str, Any], files: Files, keys: dict[str, CryptKey]) -> None:
    found = manifest.decode_blob(files[path_of(snapshot, "index.json.blob")])
    for file in found.files:
        wanted = snapshot["files"][file.filename]
        assert file.csum == wanted.get("index-csum", wanted["stored-sha256"])
        assert file.size == (wanted["chunks"][-1][0] if "kind" in wanted else wanted["stored-size"])
    key = key_of(snapshot, files, keys)
    assert (
        (key is not None) == (found.signature is not None) == (snapshot["path"].startswith("host/enc/") or snapshot["path"][:6] == "vm/200")
    )
    if key is not None:
        assert found.verify_signature(key)
        with pytest.raises(CorruptManifest):
            found.verify_signature(next(other for other in keys.values() if other is not key))


@pytest.mark.parametrize(("time", "name"), [("2025-04-01T10:00:00Z", "none"), ("2025-04-05T10:00:00Z", "pbkdf2")])
def test_wrapped_keys_open_with_the_master_key(time: str, name: str, files: Files) -> None:
    private = master_key.load_private((KEYS / "master-private.pem").read_bytes(), b"fixture-master-pw")
    raw = files[f"ns/ns1/host/enc/{time}/{master_key.WRAPPED_KEY_NAME}"]
    assert blob.check_crc(raw) is BlobKind.PLAIN
    assert len(raw) == 524
    found = master_key.unwrap(blob.decode(raw), private)
    key = keys_by_name()[name]
    assert found.unlock().raw == key.raw
    assert found.fingerprint == key.fingerprint_text
    assert found.created == key_file.parse((KEYS / f"key-{name}.json").read_bytes()).created


def test_all_chunks_have_a_right_crc(files: Files) -> None:
    for digest, wanted in expected()["chunk-files"].items():
        if "." in digest:
            continue
        raw = files[f".chunks/{digest[:4]}/{digest}"]
        assert (len(raw), blob.check_crc(raw).value.hex()) == (wanted["size"], wanted["magic"])
        if not blob.kind_of(raw).is_encrypted:
            assert plain_digest(blob.decode(raw)).hex() == digest


def test_bad_chunks_are_found(files: Files) -> None:
    bad = [raw for path, raw in files.items() if path.endswith(".bad")]
    assert len(bad) == 2
    for raw in bad:
        with pytest.raises(blob.CorruptBlob):
            blob.decode(raw)
