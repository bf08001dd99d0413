"""Fixed index: known files, what was encoded decodes, other bytes raise only CorruptIndex."""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.errors import Invalid
from platevault.formats import fixed_index
from platevault.formats.fixed_index import CHUNK_BYTES, CorruptIndex, FixedIndex

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "index.json").read_text())


def made_of(case: dict[str, Any]) -> FixedIndex:
    digests = np.frombuffer(bytes.fromhex(case["entries_hex"]), np.uint8).reshape(-1, 32)
    return FixedIndex(UUID(VECTORS["fixed"]["uuid"]), VECTORS["fixed"]["ctime"], case["size"], case["chunk_size"], digests)


@pytest.mark.parametrize("name", ["fixed", "fixed_one_byte"])
def test_known_files(name: str) -> None:
    case = VECTORS[name]
    raw = fixed_index.encode(made_of(case))
    assert raw[:96].hex() == case["header_first_96_bytes_hex"]
    assert not any(raw[96:4096])
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (case["file_length"], case["file_sha256"])
    found = fixed_index.decode(raw)
    assert found.checksum().hex() == case["index_csum"]
    assert (found.uuid, found.ctime, found.size, found.count) == (
        UUID(VECTORS["fixed"]["uuid"]),
        1_700_000_000,
        case["size"],
        len(raw) // 32 - 128,
    )


def test_the_last_chunk_is_short() -> None:
    index = made_of(VECTORS["fixed"])
    start, end = index.chunk_span(2)
    assert (end, end - start) == (index.size, VECTORS["fixed"]["last_chunk_length"])
    assert [index.digest(number).hex() for number in range(3)] == VECTORS["digests"]["hex"]


@st.composite
def indexes(draw: st.DrawFn) -> FixedIndex:
    size = draw(st.integers(1, 40 * CHUNK_BYTES))
    chunks = -(-size // CHUNK_BYTES)
    digests = np.frombuffer(draw(st.binary(min_size=32 * chunks, max_size=32 * chunks)), np.uint8)
    ctime = draw(st.integers(0, 2**40))
    return FixedIndex(UUID(int=draw(st.integers(0, 2**128 - 1))), ctime, size, CHUNK_BYTES, digests.reshape(chunks, 32))


@given(indexes())
def test_what_was_encoded_decodes(index: FixedIndex) -> None:
    again = fixed_index.decode(fixed_index.encode(index))
    assert (again.uuid, again.ctime, again.size) == (index.uuid, index.ctime, index.size)
    assert np.array_equal(again.digests, index.digests)


@given(st.binary(max_size=5000))
def test_other_bytes_raise_only_our_error(raw: bytes) -> None:
    with pytest.raises(CorruptIndex):
        fixed_index.decode(raw)


@given(indexes(), st.data())
def test_one_flipped_bit_among_the_digests_is_found(index: FixedIndex, data: st.DataObject) -> None:
    raw = bytearray(fixed_index.encode(index))
    position = data.draw(st.integers(fixed_index.HEADER_BYTES, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptIndex):
        fixed_index.decode(bytes(raw))


@given(indexes(), st.data())
def test_every_offset_lies_in_the_span_of_its_chunk(index: FixedIndex, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, index.size - 1))
    start, end = index.chunk_span(index.chunk_at(offset))
    assert start <= offset < end <= index.size
    with pytest.raises(Invalid):
        index.chunk_at(index.size)


@given(indexes(), st.data())
def test_damaged_headers_and_lengths_raise_only_our_error(index: FixedIndex, data: st.DataObject) -> None:
    raw = bytearray(fixed_index.encode(index))
    position = data.draw(st.integers(0, 79))
    raw[position : position + 8] = data.draw(st.binary(min_size=8, max_size=8))
    cut = data.draw(st.integers(0, len(raw)))
    for candidate in (bytes(raw), bytes(raw[:cut]), bytes(raw) + bytes(cut % 64)):
        try:
            found = fixed_index.decode(candidate)
        except CorruptIndex:
            continue
        assert found.count == len(found.digests) == -(-found.size // found.chunk_size)


@pytest.mark.parametrize(
    ("size", "chunk_size"), [(0, CHUNK_BYTES), (1, 0), (1, 3), (CHUNK_BYTES, CHUNK_BYTES - 1), (2**64 - 1, 1), (2**64 - 1, 2**63)]
)
def test_an_impossible_geometry_is_refused(size: int, chunk_size: int) -> None:
    raw = fixed_index.header(UUID(int=7), 0, hashlib.sha256(bytes(32)).digest(), size, chunk_size) + bytes(32)
    with pytest.raises(CorruptIndex):
        fixed_index.decode(raw)


def test_a_header_of_another_size_is_refused() -> None:
    """One port of the reference server writes headers of 16384 bytes."""
    raw = fixed_index.encode(made_of(VECTORS["fixed"]))
    with pytest.raises(CorruptIndex):
        fixed_index.decode(raw[:4096] + bytes(3 * 4096) + raw[4096:])


def test_an_index_without_chunks_is_refused() -> None:
    with pytest.raises(CorruptIndex):
        fixed_index.decode(fixed_index.header(UUID(int=7), 0, hashlib.sha256().digest(), 0))


def test_whoever_checks_the_checksum_later_gets_the_index_all_the_same() -> None:
    raw = bytearray(fixed_index.encode(made_of(VECTORS["fixed"])))
    raw[-1] ^= 1
    assert fixed_index.decode(bytes(raw), check_sum=False).count == 3
    with pytest.raises(CorruptIndex, match="checksum"):
        fixed_index.decode(bytes(raw))


def test_a_mapped_file_is_not_copied() -> None:
    raw = fixed_index.encode(made_of(VECTORS["fixed"]))
    with mmap.mmap(-1, len(raw)) as mapped:
        mapped.write(raw)
        index = fixed_index.decode(mapped)
        before = index.digest(0)
        mapped[4096] ^= 0xFF
        assert index.digest(0) != before
        del index


def test_one_image_can_have_chunks_of_another_size() -> None:
    index = FixedIndex(UUID(int=1), 0, 130, 64, np.zeros((3, 32), np.uint8))
    again = fixed_index.decode(fixed_index.encode(index))
    assert [again.chunk_span(number) for number in range(3)] == [(0, 64), (64, 128), (128, 130)]
