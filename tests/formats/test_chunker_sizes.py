"""200 MB of made-up files, cut as the reference client cut them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from platevault.formats.chunker import Chunker
from platevault.formats.payload_chunker import PayloadChunker

RECORDED = json.loads((Path(__file__).parents[1] / "vectors" / "chunker" / "sizes.json").read_text())
MIB = 1024 * 1024
AVERAGE = 4 * MIB

Files = dict[str, bytes]  # by path; a directory is what several paths begin with


def made(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@cache
def first() -> Files:
    sizes = {"big0": 64 * MIB, "big1": 40 * MIB, **{f"med/{number:02d}": 4 * MIB for number in range(15)}}
    sizes |= {f"small/{number // 100:02d}/{number:04d}": 16384 + number * 7919 % 16384 for number in range(1440)}
    return {name: made(f"sizes-{name}", size) for name, size in sizes.items()}


@cache
def changed() -> Files:
    files = dict(first())
    start = 20 * MIB + 12345
    files["big0"] = files["big0"][:start] + made("chg", MIB) + files["big0"][start + MIB :]
    files |= {f"small/{number // 100:02d}/{number:04d}": made(f"chg{number}", 20000 + number) for number in range(0, 1440, 60)}
    files["med/new"] = made("new", 300_000)
    del files["small/00/0007"]
    return files


def inserted() -> Files:
    files = dict(changed())
    files["big0"] = files["big0"][: 5 * MIB] + b"INSERTED" + files["big0"][5 * MIB :]
    return files


STATES: dict[str, Callable[[], Files]] = {"first": first, "1% changed": changed, "8 bytes inserted": inserted}


@pytest.fixture(autouse=True, scope="module")
def _forgotten() -> Iterator[None]:
    """The 250 MB of files do not stay in memory until the end of the run."""
    yield
    first.cache_clear()
    changed.cache_clear()


def archive(files: Files) -> Iterator[bytes]:
    """Items as long as those of an archive of format 1; what they say is not in the recording, and no cut hangs on it."""
    tree: dict[str, Any] = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = data
    return items(tree)


def items(node: dict[str, Any] | bytes) -> Iterator[bytes]:
    yield bytes(56)  # ENTRY
    if isinstance(node, bytes):
        yield bytes(16)  # PAYLOAD
        yield node
        return
    for name, child in sorted(node.items()):
        yield bytes(16 + len(name) + 1)  # FILENAME
        yield from items(child)
    yield bytes(16 + 24 * (len(node) + 1))  # GOODBYE


@pytest.mark.parametrize("state", STATES)
def test_an_archive_is_cut_where_the_reference_cuts(state: str) -> None:
    chunker, cuts, size = Chunker(AVERAGE), [0], 0
    for piece in archive(STATES[state]()):
        cuts += [size + cut for cut in chunker.feed(piece)]
        size += len(piece)
    recorded = RECORDED["legacy"][state]
    assert size == recorded["size"]
    assert [end - start for start, end in pairwise([*cuts, size])] == recorded["chunk-lengths"]


def payload(files: Files, chunker: PayloadChunker) -> Iterator[bytearray]:
    """A payload stream in pieces of about a MiB, each file suggested where its header is; the last byte waits for the next file."""
    collected = bytearray(16)
    for name in sorted(files):
        chunker.suggest(chunker.offset + len(collected))
        collected += bytes(16)
        for at in range(0, len(files[name]), MIB):
            collected += files[name][at : at + MIB]
            if len(collected) > MIB:
                yield collected[:-1]
                del collected[:-1]
    yield collected + bytes(16)


def payload_chunks(files: Files) -> dict[bytes, int]:
    """Digests of the chunks of the payload stream with their lengths in bytes."""
    chunker, found = PayloadChunker(AVERAGE), {}
    chunk = bytearray()
    for piece in payload(files, chunker):
        for start, end in pairwise([0, *chunker.feed(piece), len(piece)]):
            chunk += memoryview(piece)[start:end]
            if end < len(piece):
                found[hashlib.sha256(chunk).digest()] = len(chunk)
                chunk = bytearray()
    found[hashlib.sha256(chunk).digest()] = len(chunk)
    return found


def test_payloads_are_found_again_as_well_as_by_the_reference() -> None:
    """Its cuts cannot be foretold; what ours send in all must not be more."""
    known: dict[bytes, int] = {}
    sent = recorded = 0
    for state, files in STATES.items():
        chunks = payload_chunks(files())
        case = RECORDED["data-mode"][state]
        assert sum(chunks.values()) == case["size"]
        sent += sum(length for digest, length in chunks.items() if digest not in known)
        recorded += case["new-chunk-bytes"] - case["mpxar-size"]
        known |= chunks
    assert sent <= recorded
