"""What travels for a chunk: any of the four kinds of blob, as an independent decoder reads them."""

from __future__ import annotations

import hashlib
import random

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from platevault.client.seal import Sealer
from platevault.formats import blob
from platevault.formats.keys import CryptKey

KEY = CryptKey(bytes(range(32)))
NOISE = random.Random(1).randbytes(50_000)
MAGICS = {
    (False, False): "42ab3807be8370a1",
    (False, True): "31b958426fb6a37f",
    (True, False): "7b6785be222d4cf0",
    (True, True): "e6591bbf0bbfd80b",
}


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("data", [b"text " * 20_000, NOISE, b"x"], ids=["compressible", "noise", "one byte"])
def test_a_chunk_by_hand(data: bytes, key: CryptKey | None) -> None:
    sealed = Sealer(key).seal(memoryview(data))
    raw = sealed.header + bytes(sealed.payload)
    assert sealed.encoded_bytes == len(raw)
    compressed = data.startswith(b"text")
    assert raw[:8].hex() == MAGICS[key is not None, compressed]
    payload = raw[12:] if key is None else AESGCM(key.raw).decrypt(raw[12:28], raw[44:] + raw[28:44], None)
    assert (zstandard.ZstdDecompressor().decompressobj().decompress(payload) if compressed else payload) == data
    assert blob.decode(raw, key=key) == data


def test_data_that_does_not_shrink_is_not_copied() -> None:
    view = memoryview(NOISE)
    assert Sealer(None).seal(view).payload is view


def test_equal_chunks_have_equal_digests_and_different_ciphertexts() -> None:
    sealer, other = Sealer(KEY), Sealer(CryptKey(bytes(32)))
    view = memoryview(b"data")
    assert sealer.digest(view) == hashlib.sha256(b"data" + KEY.id_key).digest()
    assert Sealer(None).digest(view) == hashlib.sha256(b"data").digest()
    assert other.digest(view) not in (sealer.digest(view), Sealer(None).digest(view))
    first, second = sealer.seal(view), sealer.seal(view)
    assert first.header[12:28] != second.header[12:28], "an initialisation vector is never used twice"
    assert bytes(first.payload) != bytes(second.payload)


@given(st.binary(min_size=1, max_size=2000), st.booleans())
def test_what_is_sealed_opens(data: bytes, encrypted: bool) -> None:
    key = KEY if encrypted else None
    sealed = Sealer(key).seal(memoryview(data))
    assert blob.decode(sealed.header + bytes(sealed.payload), key=key) == data
