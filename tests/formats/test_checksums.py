"""CRC-32: known values, from either library, whole or in pieces."""

from __future__ import annotations

import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats import checksums
from platevault.formats.checksums import crc32


@pytest.mark.parametrize(("data", "crc"), [(b"", 0), (b"123456789", 0xCBF43926), (bytes(32), 0x190A55AD)])
def test_known_values(data: bytes, crc: int) -> None:
    assert crc32(data) == crc == zlib.crc32(data)


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_it_is_the_same_in_pieces_and_from_any_buffer(data: bytes, cut: int) -> None:
    whole = zlib.crc32(data)
    assert crc32(data[cut:], crc32(data[:cut])) == whole
    assert crc32(bytearray(data)) == crc32(memoryview(data)) == whole


def test_without_the_faster_library_the_standard_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert checksums._fastest() is zlib.crc32
