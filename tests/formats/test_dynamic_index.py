"""Dynamic index: known files and look-ups, what was encoded decodes, other bytes raise only CorruptIndex."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.errors import Invalid
from platevault.formats import dynamic_index
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import HEADER_BYTES, CorruptIndex

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "index.json").read_text())
CASE: dict[str, Any] = VECTORS["dynamic"]


def known() -> DynamicIndex:
    digests = np.frombuffer(bytes.fromhex("".join(VECTORS["digests"]["hex"])), np.uint8).reshape(-1, 32)
    return dynamic_index.from_arrays(UUID(CASE["uuid"]), CASE["ctime"], np.array(CASE["ends"], np.uint64), digests)


@st.composite
def indexes(draw: st.DrawFn) -> DynamicIndex:
    ends = sorted(draw(st.sets(st.integers(1, 2**64 - 1), min_size=1, max_size=30)))
    digests = np.frombuffer(draw(st.binary(min_size=32 * len(ends), max_size=32 * len(ends))), np.uint8).reshape(-1, 32)
    ctime = draw(st.integers(-(2**63), 2**63 - 1))
    return dynamic_index.from_arrays(UUID(int=draw(st.integers(0, 2**128 - 1))), ctime, np.array(ends, np.uint64), digests)


def test_known_file() -> None:
    raw = dynamic_index.encode(known())
    assert raw[:96].hex() == CASE["header_first_96_bytes_hex"]
    assert not any(raw[64:4096])
    assert raw[4096:].hex() == CASE["entries_hex"]
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (CASE["file_length"], CASE["file_sha256"])
    found = dynamic_index.decode(raw)
    assert (found.checksum().hex(), found.size) == (CASE["index_csum"], CASE["manifest_size_field"])
    assert (found.uuid, found.ctime) == (UUID(CASE["uuid"]), CASE["ctime"])


@pytest.mark.parametrize("case", CASE["lookup"], ids=lambda case: str(case["offset"]))
def test_known_lookups(case: dict[str, Any]) -> None:
    index = known()
    number = index.chunk_at(case["offset"])
    assert (number, case["offset"] - index.chunk_span(number)[0]) == (case["chunk"], case["offset_in_chunk"])


@given(indexes())
def test_what_was_encoded_decodes(index: DynamicIndex) -> None:
    again = dynamic_index.decode(dynamic_index.encode(index))
    assert (again.uuid, again.ctime, again.size, again.count) == (index.uuid, index.ctime, index.size, index.count)
    assert np.array_equal(again.entries, index.entries)
    assert [again.digest(number) for number in range(again.count)] == [digest.tobytes() for digest in index.digests]


@given(st.binary(max_size=5000), st.booleans())
def test_other_bytes_raise_only_our_error(raw: bytes, magic: bool) -> None:
    with pytest.raises(CorruptIndex):
        dynamic_index.decode((dynamic_index.MAGIC if magic else b"") + raw)


@given(indexes(), st.data())
def test_damage_raises_only_our_error(index: DynamicIndex, data: st.DataObject) -> None:
    raw = bytearray(dynamic_index.encode(index))
    position = data.draw(st.integers(HEADER_BYTES, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, len(raw) - 1))
    for candidate in (raw, raw[:cut], raw + bytes(40)):
        with pytest.raises(CorruptIndex):
            dynamic_index.decode(bytes(candidate))


@pytest.mark.parametrize("ends", [[0], [0, 5], [5, 5], [5, 4], [2**64 - 1, 1]])
def test_offsets_must_increase(ends: list[int]) -> None:
    index = dynamic_index.from_arrays(UUID(int=1), 0, np.array(ends, np.uint64), np.zeros((len(ends), 32), np.uint8))
    with pytest.raises(CorruptIndex, match="increase"):
        dynamic_index.decode(dynamic_index.encode(index))


def test_an_index_without_chunks_is_refused() -> None:
    with pytest.raises(CorruptIndex):
        dynamic_index.decode(dynamic_index.header(UUID(int=7), 0, hashlib.sha256().digest()))


def test_a_header_of_another_size_is_refused() -> None:
    raw = dynamic_index.encode(known())
    with pytest.raises(CorruptIndex):
        dynamic_index.decode(raw[:4096] + bytes(3 * 4096) + raw[4096:])


@given(indexes(), st.data())
def test_every_offset_lies_in_the_span_of_its_chunk(index: DynamicIndex, data: st.DataObject) -> None:
    for offset in (data.draw(st.integers(0, index.size - 1)), 0, index.size - 1):
        start, end = index.chunk_span(index.chunk_at(offset))
        assert start <= offset < end <= index.size
    for outside in (-1, index.size):
        with pytest.raises(Invalid):
            index.chunk_at(outside)


def test_whoever_checks_the_checksum_later_gets_the_index_all_the_same() -> None:
    raw = bytearray(dynamic_index.encode(known()))
    raw[-1] ^= 1
    assert dynamic_index.decode(bytes(raw), check_sum=False).count == 3
