"""Archives under a dynamic index, as a stream and at any place, against the server in memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.memory_site import MemorySite
from platevault.client.archive_reader import CACHED_CHUNKS, ArchiveFile, ArchiveStream
from platevault.client.reader import SnapshotReader
from platevault.client.workers import Workers

SIZE = 3_000_000


@pytest.fixture
def reader(site: MemorySite, tmp_path: Path) -> Iterator[SnapshotReader]:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(40):
        (tree / f"{number:03d}").write_bytes(random.Random(number).randbytes(SIZE // 40))
    site.back_up([f"t.pxar:{tree}"])
    with site.open() as opened:
        yield opened


def whole(reader: SnapshotReader, name: str) -> bytes:
    file = ArchiveFile(reader, name)
    return file.read_at(0, file.size)


@pytest.mark.parametrize("step", [1, 7, 65536, 10_000_000, -1])
@pytest.mark.parametrize("name", ["catalog.pcat1.didx", "t.pxar.didx"])
def test_a_stream_is_the_archive_for_any_step(reader: SnapshotReader, name: str, step: int) -> None:
    if step < 100 and step > 0 and name.startswith("t."):
        step *= 1009
    workers = Workers()
    stream, received = ArchiveStream(reader, name, workers), bytearray()
    while piece := stream.read(step):
        received += piece
    assert received == whole(reader, name)
    assert stream.read(step) == b""
    workers.stop()


def test_reading_into_a_buffer(reader: SnapshotReader) -> None:
    workers, buffer, received = Workers(), bytearray(100_003), bytearray()
    stream = ArchiveStream(reader, "t.pxar.didx", workers)
    while count := stream.readinto(memoryview(buffer)):
        received += buffer[:count]
    assert received == whole(reader, "t.pxar.didx")
    workers.stop()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(offset=st.integers(0, SIZE + 100_000), size=st.integers(0, 200_000))
def test_any_place_is_what_stands_there(reader: SnapshotReader, offset: int, size: int) -> None:
    assert ArchiveFile(reader, "t.pxar.didx").read_at(offset, size) == whole(reader, "t.pxar.didx")[offset : offset + size]


def test_a_chunk_is_fetched_once_while_it_is_in_use(site: MemorySite, reader: SnapshotReader) -> None:
    file = ArchiveFile(reader, "catalog.pcat1.didx")
    for offset in range(0, 200, 10):
        file.read_at(offset, 10)
    assert len(site.last_reader.fetched) == 1
    assert len(file._cache) <= CACHED_CHUNKS
