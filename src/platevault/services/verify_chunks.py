"""Checking stored chunks: each digest once a run, several at a time.

Source: spec administration §3.3, formats §1.3. Corrupt means that the bytes were read and are wrong; such a chunk is renamed, so
that the next backup uploads it again. A chunk that could not be read now is neither good nor corrupt.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from platevault.errors import Corrupt, NotFound, PlatevaultError, Unavailable
from platevault.formats import blob
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.manifest import CryptMode
from platevault.services.progress import Progress
from platevault.store.datastore import ChunkStore, Digest

IN_FLIGHT = 2  # chunks a worker, so that none waits for the next read; at most 16 MiB each


class WrongKind(Corrupt):
    """The chunk is encrypted and its archive is not, or the other way round. The chunk itself may be good. Facts: `digest`."""


class ChunkState(Enum):
    """UNREADABLE: it could not be read now, which says nothing about its content."""

    GOOD = "good"
    CORRUPT = "corrupt"
    MISSING = "missing"
    WRONG_KIND = "wrong kind"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an index says about a chunk."""

    digest: Digest
    size: int
    encrypted: bool


@dataclass(slots=True)
class Tally:
    """What was found in one archive: bytes read from the store, plain bytes they stand for, errors, and how many of these say nothing."""

    stored_bytes: int = 0
    plain_bytes: int = 0
    errors: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class Known:
    """Digests decided in this run, shared by all its archives. Only the thread of the run touches it."""

    good_plain: set[Digest] = field(default_factory=set)
    good_encrypted: set[Digest] = field(default_factory=set)
    bad: set[Digest] = field(default_factory=set)

    def good(self, encrypted: bool) -> set[Digest]:
        return self.good_encrypted if encrypted else self.good_plain


def check_chunk(chunks: ChunkStore, wanted: Wanted) -> int:
    """Read and check one chunk; its stored size. Raises Corrupt, WrongKind, NotFound, Unavailable.

    An encrypted chunk can only be checked by its CRC: the server has no key.
    """
    raw = chunks.load(wanted.digest)
    check_blob(raw, wanted)
    return len(raw)


def check_blob(raw: bytes, wanted: Wanted) -> None:
    """Whether these bytes are the chunk. Raises Corrupt, WrongKind."""
    kind = blob.kind_of(raw)
    if kind.is_encrypted != wanted.encrypted:
        raise WrongKind("wrong crypt mode", digest=wanted.digest)
    if wanted.encrypted:
        blob.check_crc(raw)
        return
    plain = blob.decode(raw)
    if len(plain) != wanted.size:
        raise Corrupt(f"wrong length: {len(plain)} instead of {wanted.size} bytes", expected=wanted.size, got=len(plain))
    if hashlib.sha256(plain).digest() != wanted.digest:
        raise Corrupt("content does not have the digest", expected=wanted.digest)


def check_index(
    chunks: ChunkStore, index: FixedIndex | DynamicIndex, mode: CryptMode, known: Known, task: Progress, *, workers: int
) -> Tally:
    """Check every distinct chunk of one index; problems are logged and counted. Raises Aborted."""
    encrypted = mode is CryptMode.ENCRYPT
    tally = Tally()
    todo = []
    for wanted in _distinct(index, encrypted):
        if wanted.digest in known.bad:
            tally.errors += 1
            task.log(f"chunk {wanted.digest.hex()} was marked as corrupt")
        elif wanted.digest not in known.good(encrypted):
            todo.append(wanted)
    by_digest = {wanted.digest: wanted for wanted in todo}
    ordered = [by_digest[digest] for digest in chunks.in_reading_order(by_digest)]
    _check_all(chunks, ordered, known, tally, task, workers=workers)
    return tally


def _distinct(index: FixedIndex | DynamicIndex, encrypted: bool) -> Iterable[Wanted]:
    """Each digest once, with the length of its first appearance."""
    rows = np.ascontiguousarray(index.digests).view("V32").reshape(-1)
    _, first = np.unique(rows, return_index=True)
    for number in np.sort(first):
        start, end = index.chunk_span(int(number))
        yield Wanted(index.digest(int(number)), end - start, encrypted)


def _check_all(chunks: ChunkStore, todo: list[Wanted], known: Known, tally: Tally, task: Progress, *, workers: int) -> None:
    """Feed the pool, never more than a few chunks ahead; results are taken in order."""
    waiting: deque[tuple[Wanted, Future[int]]] = deque()
    with ThreadPoolExecutor(workers, "verify") as pool:
        for wanted in todo:
            task.check_abort()
            waiting.append((wanted, pool.submit(check_chunk, chunks, wanted)))
            if len(waiting) >= workers * IN_FLIGHT:
                _settle(chunks, *waiting.popleft(), known, tally, task)
        while waiting:
            _settle(chunks, *waiting.popleft(), known, tally, task)


def _settle(chunks: ChunkStore, wanted: Wanted, result: Future[int], known: Known, tally: Tally, task: Progress) -> None:
    """Note the outcome of one check; rename what is corrupt."""
    try:
        tally.stored_bytes += result.result()
    except Exception as error:
        state = _state_of(error)
        if state is ChunkState.CORRUPT and not _set_aside(chunks, wanted, task):
            task.log(f"chunk {wanted.digest.hex()}: {error}, but good when read again: it was stored anew meanwhile")
        else:
            _count_failure(wanted, state, error, known, tally, task)
            return
    tally.plain_bytes += wanted.size
    known.good(wanted.encrypted).add(wanted.digest)


def _count_failure(wanted: Wanted, state: ChunkState, error: Exception, known: Known, tally: Tally, task: Progress) -> None:
    tally.errors += 1
    tally.unreadable += state is ChunkState.UNREADABLE
    task.log(f"chunk {wanted.digest.hex()}: {state.value}: {error}")
    if state in (ChunkState.CORRUPT, ChunkState.MISSING):
        known.bad.add(wanted.digest)


def _state_of(error: Exception) -> ChunkState:
    if isinstance(error, WrongKind):
        return ChunkState.WRONG_KIND
    if isinstance(error, Corrupt):
        return ChunkState.CORRUPT
    if isinstance(error, NotFound):
        return ChunkState.MISSING
    if isinstance(error, Unavailable):
        return ChunkState.UNREADABLE
    raise error


def _set_aside(chunks: ChunkStore, wanted: Wanted, task: Progress) -> bool:
    """Rename the chunk; False when the bytes that are stored now are good."""
    try:
        name = chunks.mark_bad(wanted.digest, is_bad=lambda raw: _is_corrupt(raw, wanted))
    except PlatevaultError as error:
        task.warn(f"could not rename corrupt chunk {wanted.digest.hex()}: {error}")
        return True
    if name is not None:
        task.log(f"corrupted chunk renamed to {name}")
    return name is not None


def _is_corrupt(raw: bytes, wanted: Wanted) -> bool:
    try:
        check_blob(raw, wanted)
    except WrongKind:
        return False
    except Corrupt:
        return True
    return False
