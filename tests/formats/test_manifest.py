"""Manifests: known ones and their signatures, what was written is read back, other bytes raise only CorruptManifest."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.fixture_store import expected
from platevault.formats import blob, manifest
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CorruptManifest, CryptMode, Manifest, ManifestFile
from platevault.formats.names import BackupType, InvalidName, SnapshotName

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "manifest.json").read_text())
SIGNED: dict[str, Any] = VECTORS["signed"]
UNSIGNED: dict[str, Any] = VECTORS["unsigned"]
UPSTREAM: dict[str, Any] = VECTORS["known_upstream"]
RULES: dict[str, Any] = VECTORS["canonical_rules_example"]
KEY = CryptKey(bytes.fromhex(SIGNED["enc_key_hex"]))
FINGERPRINT = SIGNED["manifest"]["unprotected"]["key-fingerprint"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
files = st.builds(
    ManifestFile,
    texts,
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.sampled_from(CryptMode),
)
manifests = st.builds(
    Manifest,
    st.sampled_from(BackupType),
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.lists(files, max_size=5).map(tuple),
    st.dictionaries(texts, json_values, max_size=4),
    st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def parsed(content: dict[str, Any], **changes: Any) -> Manifest:
    return manifest.from_json(json.dumps({**content, **changes}).encode())


def test_the_known_signed_manifest() -> None:
    found = parsed(SIGNED["manifest"])
    assert found.canonical() == SIGNED["canonical_json_utf8"].encode()
    assert hashlib.sha256(found.canonical()).hexdigest() == SIGNED["canonical_sha256"]
    assert found.verify_signature(KEY)
    assert found.signature == SIGNED["signature"]
    assert found.key_fingerprint == FINGERPRINT
    assert manifest.to_json(found).decode() == SIGNED["pretty_text"]
    assert blob.encode(manifest.to_json(found), compress=False).hex() == SIGNED["blob_uncompressed_hex"]
    assert manifest.decode_blob(bytes.fromhex(SIGNED["blob_uncompressed_hex"])) == found


def test_the_known_manifest_is_signed_again() -> None:
    found = parsed(UNSIGNED["manifest"])
    assert found.signature is None
    assert not found.verify_signature(KEY)
    signed = found.signed(KEY)
    assert (signed.signature, signed.key_fingerprint) == (SIGNED["signature"], FINGERPRINT)
    assert signed == parsed(SIGNED["manifest"])
    assert json.loads(manifest.to_json(found))["signature"] is None


def test_the_known_signature_of_the_reference() -> None:
    key = CryptKey(bytes.fromhex(UPSTREAM["enc_key_hex"]))
    assert key.sign(UPSTREAM["canonical_json_utf8"].encode()) == UPSTREAM["signature"]
    found = manifest.from_json(UPSTREAM["canonical_json_utf8"].encode())
    assert found.canonical() == UPSTREAM["canonical_json_utf8"].encode()
    assert found.signed(key).signature == UPSTREAM["signature"]


def test_canonical_rules() -> None:
    assert manifest.canonical_json(RULES["value"]).hex() == RULES["canonical_hex"]
    assert manifest.canonical_json('\x00\x08\x09\x0a\x0c\x0d\x1f\x7f/"\\é😀') == '"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f/\\"\\\\é😀"'.encode()
    # By code point, which is the order of UTF-8 bytes and not that of UTF-16.
    assert manifest.canonical_json({"\uffff": 1, "\U00010000": 2, "Z": 3, "a": 4}) == '{"Z":3,"a":4,"\uffff":1,"\U00010000":2}'.encode()


@pytest.mark.parametrize("value", [None, {"a": None}, [1, [None]], 1.5, {"a": float("nan")}, "\ud800", {"\ud800": 1}, {"a": b"bytes"}])
def test_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(CorruptManifest):
        manifest.canonical_json(value)


@pytest.mark.parametrize("case", expected()["snapshots"], ids=lambda case: f"{case['ns']}:{case['path']}")
def test_recorded_manifests_are_written_alike(case: dict[str, Any]) -> None:
    """As a server of version 4.2.3 left them on disk, to the byte."""
    if "manifest-text" not in case:
        assert "index.json.blob" not in case["directory"]
        return
    text = case["manifest-text"].encode()
    found = manifest.from_json(text)
    assert manifest.to_json(found) == text
    assert str(found.snapshot) == case["path"]
    assert hashlib.sha256(manifest.to_json(found)).hexdigest() == case["manifest-text-sha256"]


@given(manifests)
def test_what_was_written_is_read_back(made: Manifest) -> None:
    assert manifest.from_json(manifest.to_json(made)) == made
    assert manifest.decode_blob(manifest.encode_blob(made)) == made


@given(manifests, st.binary(min_size=32, max_size=32))
def test_a_signature_holds_for_one_key_and_one_content(made: Manifest, raw: bytes) -> None:
    key = CryptKey(raw)
    signed = made.signed(key)
    assert signed.verify_signature(key)
    assert manifest.from_json(manifest.to_json(signed)).verify_signature(key)
    assert signed.with_unprotected(notes="free for all").verify_signature(key)
    with pytest.raises(CorruptManifest, match="another key"):
        signed.verify_signature(KEY)
    with pytest.raises(CorruptManifest, match="wrong"):
        signed.with_unprotected_items({"key-fingerprint": None}).verify_signature(KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"backup-id": "101"},
        {"backup-time": 1_700_000_001},
        {"backup-type": "ct"},
        {"files": SIGNED["manifest"]["files"][::-1]},
        {"files": SIGNED["manifest"]["files"][:2]},
        {"files": [{**file, "size": file["size"] + 1} for file in SIGNED["manifest"]["files"]]},
        {"files": [{**file, "crypt-mode": "none"} for file in SIGNED["manifest"]["files"]]},
        {"files": [{**file, "csum": "00" * 32} for file in SIGNED["manifest"]["files"]]},
        {"signature": "00" * 32},
        {"signature": ""},
        {"signature": SIGNED["signature"].upper()},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_every_signed_word_counts(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptManifest, match="wrong"):
        parsed(SIGNED["manifest"], **changes).verify_signature(KEY)


def test_a_fingerprint_counts_whatever_its_case() -> None:
    unprotected = {**SIGNED["manifest"]["unprotected"], "key-fingerprint": FINGERPRINT.upper()}
    assert parsed(SIGNED["manifest"], unprotected=unprotected).verify_signature(KEY)


def test_unknown_keys_are_dropped_and_not_signed() -> None:
    """As the reference does from 4.x on."""
    strange = {**SIGNED["manifest"], "extra": 1, "files": [{**file, "extra": None} for file in SIGNED["manifest"]["files"]]}
    assert parsed(strange) == parsed(SIGNED["manifest"])
    assert parsed(strange).verify_signature(KEY)


def test_old_manifests_have_no_crypt_modes() -> None:
    old = [{key: value for key, value in file.items() if key != "crypt-mode"} for file in SIGNED["manifest"]["files"]]
    assert {file.crypt_mode for file in parsed(UNSIGNED["manifest"], files=old).files} == {CryptMode.NONE}


@pytest.mark.parametrize("value", [{}, None])
def test_nothing_need_be_unprotected(value: object) -> None:
    assert parsed(UNSIGNED["manifest"], unprotected=value).unprotected == {}
    without = {key: item for key, item in UNSIGNED["manifest"].items() if key not in ("unprotected", "signature")}
    assert parsed(without) == Manifest(BackupType.VM, "100", 1_700_000_000, parsed(without).files)


def test_unprotected_keys_are_set_and_removed() -> None:
    made = parsed(UNSIGNED["manifest"], unprotected={"other": [1, {"deep": None}]})
    noted = made.with_unprotected(notes="two\nlines")
    assert noted.unprotected == {"other": [1, {"deep": None}], "notes": "two\nlines"}
    assert noted.with_unprotected(notes=None) == made
    assert noted.key_fingerprint is None
    assert noted.with_unprotected_items({"key-fingerprint": 7}).key_fingerprint is None


def test_look_ups() -> None:
    found = parsed(SIGNED["manifest"])
    assert found.snapshot == SnapshotName.parse("vm/100/2023-11-14T22:13:20Z")
    assert found.size == 8389608 + 444 + 524
    assert found.file("qemu-server.conf.blob") == found.files[1]
    assert found.file("nothing.blob") is None
    with pytest.raises(InvalidName):
        _ = parsed(SIGNED["manifest"], **{"backup-id": "../.."}).snapshot


FILE = {"filename": "a.blob", "size": 1, "csum": "00" * 32, "crypt-mode": "none"}


@pytest.mark.parametrize(
    "changes",
    [
        {"backup-type": "qemu"},
        {"backup-type": None},
        {"backup-type": ["vm"]},
        {"backup-id": 100},
        {"backup-id": "\ud800"},
        {"backup-time": "1700000000"},
        {"backup-time": 1700000000.0},
        {"backup-time": True},
        {"backup-time": 2**63},
        {"files": None},
        {"files": {}},
        {"files": ["a.blob"]},
        {"files": [{**FILE, "filename": 7}]},
        {"files": [{**FILE, "filename": "\ud800.blob"}]},
        {"files": [{**FILE, "size": -1}]},
        {"files": [{**FILE, "size": 2**64}]},
        {"files": [{**FILE, "size": "1"}]},
        {"files": [{**FILE, "csum": "00" * 31}]},
        {"files": [{**FILE, "csum": "00" * 32 + "\n"}]},
        {"files": [{**FILE, "csum": "0g" * 32}]},
        {"files": [{**FILE, "csum": None}]},
        {"files": [{**FILE, "crypt-mode": "sign"}]},
        {"files": [{**FILE, "crypt-mode": None}]},
        {"files": [{"filename": "a.blob", "size": 1}]},
        {"unprotected": []},
        {"unprotected": "notes"},
        {"unprotected": {"notes": "\ud800"}},
        {"unprotected": {"\ud800": 1}},
        {"unprotected": {"n": float("nan")}},
        {"signature": 7},
        {"signature": "é"},
    ],
    ids=lambda changes: ascii(changes)[:70],
)
def test_bad_fields_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptManifest):
        parsed(UNSIGNED["manifest"], **changes)


@pytest.mark.parametrize("field", ["backup-type", "backup-id", "backup-time", "files"])
def test_missing_fields_are_refused(field: str) -> None:
    with pytest.raises(CorruptManifest):
        manifest.from_json(json.dumps({key: value for key, value in UNSIGNED["manifest"].items() if key != field}).encode())


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"backup-time": %b}' % (b"9" * 5000), b"\xef\xbb\xbf{}"]
)
def test_these_are_no_manifests(text: bytes) -> None:
    with pytest.raises(CorruptManifest):
        manifest.from_json(text)


@pytest.mark.parametrize("depth", [50, 90, 130, 500, 900, 5000, 50_000])
@pytest.mark.parametrize("bracket", [("[", "]"), ('{"a":', "}")])
def test_what_can_be_read_can_be_written(depth: int, bracket: tuple[str, str]) -> None:
    """The server writes a client's manifest again when a backup ends; deep nesting must not make that fail."""
    deep = bracket[0] * depth + "1" + bracket[1] * depth
    text = json.dumps({**UNSIGNED["manifest"], "unprotected": {"deep": "?"}}).replace('"?"', deep)
    try:
        found = manifest.from_json(text.encode())
    except CorruptManifest:
        assert depth > 90
        return
    assert depth < 130
    assert manifest.from_json(manifest.to_json(found)) == found


@given(st.dictionaries(st.sampled_from(["backup-type", "backup-id", "backup-time", "files", "unprotected", "signature"]), json_values))
def test_other_values_raise_only_our_error(changes: dict[str, Any]) -> None:
    try:
        found = parsed(SIGNED["manifest"], **changes)
    except CorruptManifest:
        return
    assert manifest.from_json(manifest.to_json(found)) == found


@given(st.binary(max_size=100), st.booleans())
def test_other_bytes_raise_only_our_error(raw: bytes, in_blob: bool) -> None:
    with pytest.raises(CorruptManifest):
        manifest.decode_blob(blob.encode(raw) if in_blob else raw)


def test_a_manifest_is_never_encrypted() -> None:
    with pytest.raises(CorruptManifest):
        manifest.decode_blob(blob.encode(manifest.to_json(parsed(SIGNED["manifest"])), key=KEY))


def test_a_small_blob_does_not_become_a_large_manifest() -> None:
    """Some KB of compressed brackets would be 9 MB of text and 200 MB of lists."""
    text = b'{"unprotected":{"a":[' + b"[]," * 3_000_000 + b"[]]}}"
    packed = blob.encode(text)
    assert len(packed) < 2000
    del text
    tracemalloc.start()
    try:
        with pytest.raises(CorruptManifest):
            manifest.decode_blob(packed)
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()
