"""Encryption keys: derived values, digests, signatures and AES-GCM against known results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.errors import Invalid
from platevault.formats import keys
from platevault.formats.keys import CryptKey, WrongKey

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "digests.json").read_text())
KEY = CryptKey(bytes.fromhex(VECTORS["enc_key_hex"]))


def test_derived_values() -> None:
    assert KEY.id_key.hex() == VECTORS["id_key_hex"]
    assert keys.FINGERPRINT_INPUT.hex() == VECTORS["fingerprint_input_hex"]
    assert KEY.fingerprint.hex() == VECTORS["fingerprint_hex"]
    assert KEY.fingerprint_text == VECTORS["fingerprint_text"]


@pytest.mark.parametrize("case", VECTORS["digests"], ids=lambda case: case["plaintext_ascii"] or "empty")
def test_digests_of_chunks_are_hashes_and_signatures_are_hmacs(case: dict[str, Any]) -> None:
    data = case["plaintext_ascii"].encode()
    assert keys.plain_digest(data).hex() == case["unkeyed"]
    assert KEY.digest(memoryview(data)).hex() == case["keyed"]
    assert KEY.sign(data) == case["hmac_id_key"]


@pytest.mark.parametrize("case", VECTORS["zero_chunks"], ids=lambda case: str(case["size"]))
def test_digests_of_zeros(case: dict[str, Any]) -> None:
    assert keys.plain_digest(bytes(case["size"])).hex() == case["unkeyed"]
    assert KEY.digest(bytes(case["size"])).hex() == case["keyed"]


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_what_was_encrypted_decrypts(data: bytes, raw: bytes) -> None:
    key = CryptKey(raw)
    iv, tag, secret = key.encrypt(data)
    assert (len(iv), len(tag), len(secret)) == (16, 16, len(data))
    assert key.decrypt(iv, tag, secret) == data


@given(st.binary(min_size=1, max_size=50), st.data())
def test_nothing_of_it_can_be_changed(data: bytes, draw: st.DataObject) -> None:
    iv, tag, secret = KEY.encrypt(data)
    parts = [bytearray(iv), bytearray(tag), bytearray(secret)]
    part = draw.draw(st.sampled_from(parts))
    part[draw.draw(st.integers(0, len(part) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(WrongKey):
        KEY.decrypt(bytes(parts[0]), bytes(parts[1]), parts[2])


def test_another_key_does_not_open_it() -> None:
    iv, tag, secret = KEY.encrypt(b"secret")
    with pytest.raises(WrongKey):
        CryptKey.generate().decrypt(iv, tag, secret)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(Invalid):
        CryptKey(bytes(length))


def test_a_key_never_shows_itself() -> None:
    assert repr(KEY) == "CryptKey(0e:ab:d4:46:0b:6e:b9:ca)"


def test_generated_keys_differ() -> None:
    assert CryptKey.generate().raw != CryptKey.generate().raw
