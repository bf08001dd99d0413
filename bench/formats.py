"""What chunker, blobs, digests, indexes and catalogs need by themselves, on one thread: no files, no wire."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID

import numpy as np
import zstandard

from bench.figure import MIB, Row, Scale
from platevault.formats import blob, chunker_numpy, dynamic_index, zstd
from platevault.formats.catalog import CatalogReader, CatalogWriter
from platevault.formats.checksums import crc32
from platevault.formats.chunker import IMPLEMENTATION, Chunker
from platevault.formats.keys import CryptKey, plain_digest

BLOCK_BYTES = 4 * MIB
KEY = CryptKey(bytes(32))
FILES_A_DIRECTORY = 100


def measure(scale: Scale) -> list[Row]:
    rounds = scale.count(64)
    calls = _calls(os.urandom(BLOCK_BYTES), _compressible())
    return [
        *_chunker_rows(rounds),
        *(_row(what, call, rounds, BLOCK_BYTES) for what, call in calls.items()),
        *_index_rows(scale.count(1_000_000)),
        *_catalog_rows(scale.count(2000)),
    ]


def _compressible() -> bytes:
    """A block that shrinks to about six tenths, as the contents of disks do."""
    source = random.Random(1)
    words = [source.randbytes(source.randint(2, 12)) for _ in range(4000)]
    return b"".join(source.choices(words, k=BLOCK_BYTES // 5))[:BLOCK_BYTES]


def _row(what: str, call: Callable[[], object], rounds: int, size: int) -> Row:
    """The call again and again, after one to warm up. size: bytes of data a call."""
    call()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        call()
    return Row(what, time.perf_counter() - wall, rounds * size, client_cpu_s=time.process_time() - cpu)


def _chunker_rows(rounds: int) -> list[Row]:
    data = os.urandom(16 * BLOCK_BYTES)
    native, twin = Chunker(BLOCK_BYTES), Chunker(BLOCK_BYTES, scanner=chunker_numpy.Scanner)
    return [
        _row(f"chunker ({IMPLEMENTATION})", partial(native.feed, data), max(1, rounds // 8), len(data)),
        _row("chunker (numpy)", partial(twin.feed, data), max(1, rounds // 32), len(data)),
    ]


def _calls(noise: bytes, text: bytes) -> dict[str, Callable[[], object]]:
    calls: dict[str, Callable[[], object]] = {
        "CRC-32": partial(crc32, noise),
        "digest": partial(plain_digest, noise),
        "digest with key": partial(KEY.digest, noise),
        "AES-GCM": partial(KEY.encrypt, noise),
    }
    for kind, data in (("random", noise), ("compressible", text)):
        for key, how in ((None, ""), (KEY, ", encrypted")):
            calls[f"encode {kind}{how}"] = partial(blob.encode, data, key=key)
            calls[f"decode {kind}{how}"] = partial(blob.decode, blob.encode(data, key=key), key=key)
    old = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(text)
    calls["decompress a frame without its size"] = partial(zstd.decompress, old, max_bytes=BLOCK_BYTES)
    return calls


def _index_rows(count: int) -> list[Row]:
    ends = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(BLOCK_BYTES)
    digests = np.frombuffer(os.urandom(32 * count), np.uint8).reshape(count, 32)
    raw = dynamic_index.encode(dynamic_index.from_arrays(UUID(int=1), 0, ends, digests))
    return [
        _row(f"dynamic index of {count} chunks, checked", partial(dynamic_index.decode, raw), 5, len(raw)),
        _row("the same, not checked", partial(dynamic_index.decode, raw, check_sum=False), 5, len(raw)),
    ]


def _catalog_rows(directories: int) -> list[Row]:
    raw = _catalog(directories)

    def walk() -> int:
        return sum(1 for _ in CatalogReader(lambda offset, size: raw[offset : offset + size], len(raw)).walk())

    entries = directories * (FILES_A_DIRECTORY + 1)
    return [
        _row(f"catalog of {entries} entries, written", partial(_catalog, directories), 1, len(raw)),
        _row("the same, walked", walk, 1, len(raw)),
    ]


def _catalog(directories: int) -> bytes:
    parts: list[bytes] = []
    writer = CatalogWriter(parts.append)
    for number in range(directories):
        writer.start_directory(b"directory-%d" % number)
        for file in range(FILES_A_DIRECTORY):
            writer.add_file(b"file-%d.txt" % file, file * 1000, 1_700_000_000)
        writer.end_directory()
    writer.finish()
    return b"".join(parts)
