"""A stream on its way into a dynamic index: the same chunks for any split of the writes, each sent once, failures told."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from kit.memory_site import MemorySite
from kit.scripted_connection import ScriptedConnection
from platevault.client.chunk_sender import ChunkSender
from platevault.client.chunk_stream import CATALOG_AVERAGE_BYTES, ChunkStream
from platevault.client.index_writer import ClosedIndex
from platevault.client.known_chunks import KnownChunks
from platevault.client.session import Session
from platevault.client.statistics import Counters
from platevault.client.workers import Workers
from platevault.errors import Unavailable
from platevault.formats.chunker import Chunker

DATA = random.Random(11).randbytes(6_000_000) + bytes(3_000_000)


def expected_ends(data: bytes) -> list[int]:
    """Where the chunker itself cuts, fed all at once."""
    cuts = [int(cut) for cut in Chunker(CATALOG_AVERAGE_BYTES).feed(memoryview(data))]
    return [*cuts, len(data)] if not cuts or cuts[-1] != len(data) else cuts


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def run(site: MemorySite, data: bytes, size: int) -> tuple[ClosedIndex, Counters]:
    session, workers, counters = site.open_backup(), Workers(), Counters()
    try:
        stream = ChunkStream(
            session, ChunkSender(session, KnownChunks(), None), workers, "x.pcat1.didx", average=CATALOG_AVERAGE_BYTES, counters=counters
        )
        reused = bytearray()
        for piece in pieces(data, size):
            reused[:] = piece  # the caller uses its buffer again
            stream.write(reused)
        closed = stream.close()
    finally:
        session.close()
        workers.stop()
    return closed, counters


@pytest.mark.parametrize("size", [1_000_003, 4096, 9_000_000, 700_000])
def test_the_split_of_the_writes_does_not_matter(site: MemorySite, size: int) -> None:
    closed, counters = run(site, DATA, size)
    ends = expected_ends(DATA)
    starts = [0, *ends[:-1]]
    chunks = [DATA[start:end] for start, end in zip(starts, ends, strict=True)]
    checksum = hashlib.sha256()
    for end, chunk in zip(ends, chunks, strict=True):
        checksum.update(end.to_bytes(8, "little") + hashlib.sha256(chunk).digest())
    assert (closed.size, closed.chunks, closed.csum) == (len(DATA), len(ends), checksum.hexdigest())
    assert sorted(site.last.uploads) == sorted({hashlib.sha256(chunk).hexdigest() for chunk in chunks})
    assert (counters.chunks, counters.uploaded_bytes + counters.reused_bytes) == (len(ends), len(DATA))


@pytest.mark.parametrize("data", [b"x", b"x" * 1000])
def test_a_short_stream_is_one_chunk(site: MemorySite, data: bytes) -> None:
    closed, _ = run(site, data, 7)
    assert (closed.size, closed.chunks) == (len(data), 1)


def test_a_lost_connection_comes_out_of_a_later_write_or_of_close() -> None:
    connection = ScriptedConnection({"POST /dynamic_index": 1})
    session, workers = Session(connection), Workers()
    stream = ChunkStream(
        session, ChunkSender(session, KnownChunks(), None), workers, "x.didx", average=CATALOG_AVERAGE_BYTES, counters=Counters()
    )
    stream.write(DATA)
    session.close()
    with pytest.raises(Unavailable, match="lost"):
        stream.close()
    workers.stop(drop=True)
    stream.abandon()
