"""The chunker of payload streams: suggested boundaries, known results, chunks put in between."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.byte_streams import described, noise
from platevault.formats.chunker import Chunker
from platevault.formats.payload_chunker import PayloadChunker

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "chunker" / "chunker.json").read_text())
AVERAGE = 1024  # least 256, most 4096


def cuts_of(chunker: PayloadChunker, data: bytes, feed_size: int) -> list[int]:
    view = memoryview(data)
    return [at + cut for at in range(0, len(data), feed_size) for cut in chunker.feed(view[at : at + feed_size])]


@pytest.mark.parametrize("case", VECTORS["payload_cases"], ids=lambda case: f"{case['name']}-{case['feed_size']}")
def test_known_boundaries(case: dict[str, Any]) -> None:
    data = described(case["input"], case["input_length"])
    chunker = PayloadChunker(case["avg"])
    for offset in case["suggested_offsets"]:
        chunker.suggest(offset)
    cuts = cuts_of(chunker, data, case["feed_size"])
    assert [end - start for start, end in pairwise([0, *cuts, len(data)])] == case["chunk_lengths"]


@given(
    st.integers(0, 1000),
    st.lists(st.integers(0, 40_000), max_size=40).map(sorted),
    st.integers(1, 9000),
)
def test_chunks_stay_within_their_limits(seed: int, suggestions: list[int], feed_size: int) -> None:
    data = noise(seed, 30_000)
    chunker = PayloadChunker(AVERAGE)
    for offset in suggestions:
        chunker.suggest(offset)
    cuts = cuts_of(chunker, data, feed_size)
    assert all(256 <= end - start <= 4096 for start, end in pairwise([0, *cuts]))
    assert len(data) - (cuts[-1] if cuts else 0) <= 4096
    assert chunker.offset == len(data)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_without_suggestions_it_is_the_plain_chunker(sizes: list[int]) -> None:
    plain, payload = Chunker(AVERAGE), PayloadChunker(AVERAGE)
    for number, size in enumerate(sizes):
        piece = noise(number, size)
        assert payload.feed(piece) == plain.feed(piece)


def test_a_file_of_fair_size_begins_a_chunk() -> None:
    chunker = PayloadChunker(AVERAGE)
    chunker.suggest(100)  # too near to the start
    chunker.suggest(700)
    assert chunker.feed(bytes(800)) == [700]


def test_a_suggestion_behind_the_data_waits() -> None:
    chunker = PayloadChunker(AVERAGE)
    chunker.suggest(700)
    assert chunker.feed(bytes(650)) == []
    assert chunker.feed(bytes(650)) == [50]


def test_a_suggestion_for_a_place_already_passed_is_dropped() -> None:
    chunker = PayloadChunker(AVERAGE)
    assert chunker.feed(bytes(700)) == []
    chunker.suggest(600)
    chunker.suggest(700)
    assert chunker.feed(bytes(3000)) == []
    assert chunker.feed(bytes(500)) == [4096 - 3700]


def test_after_chunks_of_another_archive_it_begins_anew() -> None:
    chunker = PayloadChunker(AVERAGE)
    chunker.suggest(5000)
    chunker.suggest(10_400)
    assert chunker.feed(bytes(300)) == []
    assert chunker.offset == 300
    chunker.restart(10_000)
    assert chunker.feed(bytes(1000)) == [400]
    assert chunker.offset == 11_000
