"""Data blobs: known ones, what was encoded decodes, damage is found, other bytes raise only our errors."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from platevault.errors import Invalid
from platevault.formats import blob
from platevault.formats.blob import BlobKind, CorruptBlob, KeyNeeded
from platevault.formats.keys import CryptKey, WrongKey

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "blobs.json").read_text())
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["blobs"]}
KEY = CryptKey(bytes.fromhex(VECTORS["key_hex"]))
IV = bytes.fromhex(VECTORS["iv_hex"])
OTHER_KEY = CryptKey(bytes(32))
MIB = 1024 * 1024

keys = st.sampled_from([None, KEY])
contents = st.builds(lambda part, times: part * times, st.binary(max_size=300), st.integers(0, 30))


def raw_of(name: str) -> bytes:
    return bytes.fromhex(CASES[name]["raw_hex"])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_known_blobs_decode(case: dict[str, Any]) -> None:
    raw = raw_of(case["name"])
    assert hashlib.sha256(raw).hexdigest() == case["raw_sha256"]
    assert blob.check_crc(raw).value.hex() == VECTORS["magic"][case["kind"]]["hex"]
    assert blob.stored_crc(raw) == case["crc32"]
    plain = blob.decode(raw, key=KEY, max_bytes=case["plaintext_length"])
    assert (len(plain), hashlib.sha256(plain).hexdigest()) == (case["plaintext_length"], case["plaintext_sha256"])


@pytest.mark.parametrize(("name", "key"), [("plain-uncompressed", None), ("encrypted-uncompressed", KEY), ("empty", None)])
def test_known_blobs_are_made_again(name: str, key: CryptKey | None) -> None:
    """Without compression, whose bytes belong to the library."""
    plain = bytes.fromhex(VECTORS["plaintexts"]["P2"]["hex"]) if CASES[name]["plaintext_length"] else b""
    assert blob.encode(plain, key=key, iv=IV) == raw_of(name)


@pytest.mark.parametrize("name", VECTORS["magic"])
def test_the_magics_are_hashes_of_their_names(name: str) -> None:
    magic = VECTORS["magic"][name]
    assert hashlib.sha256(magic["is_first_8_bytes_of_sha256_of_ascii"].encode()).digest()[:8].hex() == magic["hex"]


@given(contents, keys, st.booleans(), st.sampled_from([bytes, bytearray, memoryview]))
def test_what_was_encoded_decodes(content: bytes, key: CryptKey | None, compress: bool, buffer: type) -> None:
    raw = blob.encode(buffer(content), compress=compress, key=key)
    assert blob.decode(buffer(raw), key=key, max_bytes=len(content)) == content
    kind = blob.check_crc(buffer(raw))
    assert kind.is_encrypted == (key is not None)
    assert len(raw) <= len(content) + kind.header_bytes


def test_compression_is_kept_when_it_pays() -> None:
    assert blob.kind_of(blob.encode(bytes(1000))) is BlobKind.ZSTD
    assert blob.kind_of(blob.encode(bytes(1000), key=KEY)) is BlobKind.ENCRYPTED_ZSTD
    assert blob.kind_of(blob.encode(bytes(1000), compress=False)) is BlobKind.PLAIN
    assert blob.kind_of(blob.encode(hashlib.sha256(b"random").digest())) is BlobKind.PLAIN
    assert blob.kind_of(blob.encode(b"")) is BlobKind.PLAIN


def test_a_compressed_blob_of_equal_length_is_a_blob() -> None:
    """Writers differ in what they do with a tie; both forms are read."""
    text = b"tie"
    frame = zstandard.ZstdCompressor().compress(text)
    assert blob.decode(blob.header(BlobKind.ZSTD, blob.crc32(frame)) + frame) == text


def test_the_crc_covers_only_what_follows_the_whole_header() -> None:
    for name, start in (("plain-uncompressed", 12), ("encrypted-uncompressed", 44)):
        assert blob.stored_crc(raw_of(name)) == zlib.crc32(raw_of(name)[start:])


def test_every_initialisation_vector_is_new() -> None:
    assert len({blob.encode(b"same", key=KEY)[12:28] for _ in range(20)}) == 20


@given(contents, keys, st.data())
def test_a_flipped_bit_is_found(content: bytes, key: CryptKey | None, data: st.DataObject) -> None:
    """In an encrypted blob wherever it is; in a plain one in magic, CRC and data."""
    raw = bytearray(blob.encode(content, key=key))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((CorruptBlob, WrongKey, KeyNeeded)):
        blob.decode(bytes(raw), key=key)


@given(contents, keys, st.data())
def test_a_blob_that_is_cut_off_is_found(content: bytes, key: CryptKey | None, data: st.DataObject) -> None:
    raw = blob.encode(content, key=key)
    with pytest.raises(CorruptBlob):
        blob.decode(raw[: data.draw(st.integers(0, len(raw) - 1))], key=key)


@given(st.sampled_from([b"", *(kind.magic for kind in BlobKind)]), st.binary(max_size=100), keys, st.booleans())
def test_other_bytes_raise_only_our_errors(magic: bytes, rest: bytes, key: CryptKey | None, right_crc: bool) -> None:
    raw = magic + rest
    try:
        found = blob.decode(blob.with_crc(raw) if right_crc else raw, key=key, max_bytes=MIB)
    except (CorruptBlob, WrongKey, KeyNeeded):
        return
    assert len(found) <= MIB


@pytest.mark.parametrize(
    ("raw", "good"),
    [
        (BlobKind.PLAIN.magic + bytes(3), False),
        (BlobKind.PLAIN.magic + bytes(4), True),
        (BlobKind.ENCRYPTED.magic + bytes(35), False),
        (BlobKind.ENCRYPTED.magic + bytes(36), True),
    ],
)
def test_the_shortest_blobs(raw: bytes, good: bool) -> None:
    if good:
        assert blob.kind_of(raw).header_bytes == len(raw)
    else:
        with pytest.raises(CorruptBlob, match="shorter than its header"):
            blob.kind_of(raw)


def test_a_compressed_blob_without_a_frame_is_corrupt() -> None:
    with pytest.raises(CorruptBlob, match="does not decompress"):
        blob.decode(BlobKind.ZSTD.magic + bytes(4))


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("key", [None, KEY])
def test_the_limit_is_exact(compress: bool, key: CryptKey | None) -> None:
    raw = blob.encode(bytes(1000), compress=compress, key=key)
    assert blob.decode(raw, key=key, max_bytes=1000) == bytes(1000)
    with pytest.raises(CorruptBlob):
        blob.decode(raw, key=key, max_bytes=999)


def test_an_encrypted_blob_needs_its_key() -> None:
    with pytest.raises(KeyNeeded):
        blob.decode(raw_of("encrypted-zstd"))
    with pytest.raises(WrongKey):
        blob.decode(raw_of("encrypted-zstd"), key=OTHER_KEY)
    assert blob.decode(raw_of("plain-zstd"), key=OTHER_KEY) == bytes([0x41]) * 1000


def test_a_server_sums_anew() -> None:
    """Uploaded chunks may come with any CRC."""
    for name in CASES:
        wrong = bytearray(raw_of(name))
        wrong[8] ^= 1
        with pytest.raises(CorruptBlob, match="CRC"):
            blob.check_crc(wrong)
        assert blob.with_crc(wrong) == raw_of(name)


def test_too_much_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "MAX_DATA_BYTES", 10)
    assert blob.encode(bytes(10))
    with pytest.raises(Invalid):
        blob.encode(bytes(11))


def test_a_header_fits_its_kind() -> None:
    with pytest.raises(Invalid):
        blob.header(BlobKind.PLAIN, 0, bytes(16), bytes(16))
    with pytest.raises(Invalid):
        blob.header(BlobKind.ENCRYPTED, 0)
