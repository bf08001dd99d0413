"""The chunker in C and in numpy: known boundaries, and the same ones whatever the split of the input."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.byte_streams import described, hashed, noise
from platevault.errors import Invalid
from platevault.formats import chunker_numpy
from platevault.formats.buzhash_table import VALUES
from platevault.formats.chunker import FASTEST, IMPLEMENTATION, Chunker, ScannerType

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "chunker" / "chunker.json").read_text())
SCANNERS = {"numpy": chunker_numpy.Scanner, IMPLEMENTATION: FASTEST}
AVERAGE = 1024  # least 256, most 4096: many cuts in little data


@pytest.fixture(params=["c", "numpy"])
def scanner(request: pytest.FixtureRequest) -> ScannerType:
    if request.param not in SCANNERS:
        pytest.skip("the C extension was not built here")
    return SCANNERS[request.param]


def fed(chunker: Chunker, data: bytes, sizes: list[int]) -> list[int]:
    """Cuts in the whole of `data`, given to the chunker in pieces of `sizes`, which are repeated."""
    cuts: list[int] = []
    at = number = 0
    while at < len(data):
        piece = data[at : at + sizes[number % len(sizes)]]
        cuts += [at + cut for cut in chunker.feed(piece)]
        at += len(piece)
        number += 1
    return cuts


def lengths(cuts: list[int], size: int) -> list[int]:
    return [end - start for start, end in pairwise([0, *cuts, *([size] if size not in cuts else [])])]


def by_the_rules(data: bytes, average: int) -> list[int]:
    """The algorithm of the format's description, byte by byte."""
    table = struct.unpack(">256I", VALUES)
    cuts: list[int] = []
    value = count = 0
    for place, byte in enumerate(data):
        value = (value << 1 | value >> 31) & 0xFFFFFFFF
        value ^= table[byte]
        count += 1
        if count > 64:
            value ^= table[data[place - 64]]
        if count > 64 and (count >= average * 4 or (count >= average // 4 and value & (2 * average - 1) >= 2 * average - 3)):
            cuts.append(place + 1)
            value = count = 0
    return cuts


def test_the_table_is_the_one_of_the_format() -> None:
    little = struct.pack("<256I", *struct.unpack(">256I", VALUES))
    assert hashlib.sha256(little).hexdigest() == "5b52080d38287da9d2e278466e3e0db7ec98e5e8b226f50612a56fa012b1f660"


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_known_boundaries(case: dict[str, Any], scanner: ScannerType) -> None:
    data = described(case["input"], case["input_length"])
    assert hashlib.sha256(data).hexdigest() == case["input_sha256"]
    for sizes in ([len(data)], [1024 * 1024], [65537, 3, 63, 64]):
        assert lengths(fed(Chunker(case["avg"], scanner=scanner), data, sizes), len(data)) == case["chunk_lengths"]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Random data with runs of one byte and repeated parts, which is where a rolling hash goes wrong."""
    parts: list[bytes] = []
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.integers(0, 3000))
        kind = draw(st.sampled_from(["random", "constant", "again"]))
        if kind == "random":
            parts.append(noise(draw(st.integers(0, 1000)), length))
        elif kind == "constant":
            parts.append(bytes([draw(st.integers(0, 255))]) * length)
        else:
            parts.append(b"".join(parts)[-length:] if length else b"")
    return b"".join(parts)


@given(streams(), st.lists(st.integers(1, 700), min_size=1, max_size=5))
@example(bytes(4096 * 2 + 1), [64])
def test_cuts_follow_the_rules_whatever_the_split(data: bytes, sizes: list[int]) -> None:
    wanted = by_the_rules(data, AVERAGE)
    for scanner in SCANNERS.values():
        assert fed(Chunker(AVERAGE, scanner=scanner), data, sizes) == wanted
        assert Chunker(AVERAGE, scanner=scanner).feed(data) == wanted


def test_a_chunk_knows_nothing_of_the_one_before(scanner: ScannerType) -> None:
    data = hashed("independent", 100_000)
    cuts = Chunker(AVERAGE, scanner=scanner).feed(data)
    assert Chunker(AVERAGE, scanner=scanner).feed(data[cuts[4] :]) == [cut - cuts[4] for cut in cuts[5:]]


def test_any_buffer_is_taken_and_none_is_held(scanner: ScannerType) -> None:
    data = bytearray(hashed("buffers", 50_000))
    wanted = Chunker(AVERAGE, scanner=scanner).feed(bytes(data))
    assert wanted
    for buffer in (data, memoryview(data), memoryview(bytes(data))):
        chunker = Chunker(AVERAGE, scanner=scanner)
        assert chunker.feed(buffer) == wanted
    data.clear()  # would raise BufferError while somebody holds a view


def test_no_data_is_no_cut(scanner: ScannerType) -> None:
    assert Chunker(AVERAGE, scanner=scanner).feed(b"") == []


@pytest.mark.parametrize("average", [0, -1024, 512, 1000, 65537, 8 * 1024 * 1024])
def test_an_impossible_average_is_refused(average: int) -> None:
    with pytest.raises(Invalid):
        Chunker(average)


@pytest.mark.parametrize(
    ("table", "minimum", "maximum", "mask"),
    [(VALUES[:-1], 256, 4096, 2047), (VALUES, 64, 4096, 2047), (VALUES, 256, 255, 2047), (VALUES, 256, 4096, 1)],
)
def test_a_scanner_checks_its_parameters(scanner: ScannerType, table: bytes, minimum: int, maximum: int, mask: int) -> None:
    with pytest.raises(ValueError, match="64 < minimum"):
        scanner(table, minimum, maximum, mask)


def test_a_scanner_takes_nothing_but_buffers(scanner: ScannerType) -> None:
    with pytest.raises((TypeError, AttributeError)):
        scanner(VALUES, 256, 4096, 2047).scan(7)  # type: ignore[arg-type]


def test_a_scanner_can_be_cut_short(scanner: ScannerType) -> None:
    data = hashed("reset", 20_000)
    fresh, used = scanner(VALUES, 256, 4096, 2047), scanner(VALUES, 256, 4096, 2047)
    assert used.scan(data[:300]) == 0
    used.reset()
    assert used.scan(data) == fresh.scan(data) > 0


def test_minimum_and_maximum_may_be_equal(scanner: ScannerType) -> None:
    made_short = scanner(VALUES, 100, 100, 3)
    assert made_short.scan(bytes(99)) == 0
    assert made_short.scan(bytes(500)) == 1
    assert made_short.scan(bytes(500)) == 100


def test_threads_may_scan_at_once_with_scanners_of_their_own() -> None:
    data = hashed("threads", 2_000_000)
    wanted = Chunker(65536).feed(data)
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(Chunker(65536).feed(data))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


def test_without_the_extension_numpy_cuts() -> None:
    program = (
        "import sys; sys.modules['platevault.formats._chunker'] = None\n"
        "from platevault.formats.chunker import Chunker, IMPLEMENTATION\n"
        "print(IMPLEMENTATION, Chunker(1024).feed(bytes(5000)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert shown == "numpy [4096]\n"
