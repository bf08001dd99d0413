"""Garbage collection: delete the chunks that no index names and nobody may be about to name.

Source: design §6, spec administration §1, formats §1.7. Mark reads every index; sweep looks at every chunk file. What keeps a
backup that runs meanwhile safe:
- a chunk that it uploads or finds present has a sign of use not older than its begin, and what is younger than the oldest writer
  (less five minutes for clock steps) is never deleted;
- a chunk that it takes over from the previous snapshot is named by that snapshot's index, which is locked against removal;
- indexes that appeared since the mark began are read before anything is deleted, until there are no new ones.
An index that cannot be read ends the run before anything is deleted. Referenced chunks are not touched on disk: the reference
server marks for itself, and ours reads the indexes each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from platevault.clock import Clock
from platevault.errors import Unavailable
from platevault.formats import blob
from platevault.services.gc_mark import Marks, Prefixes, contained, open_index, prefix_of, prefixes_of
from platevault.services.gc_status import GcStatus
from platevault.services.progress import Progress
from platevault.store.datastore import ChunkStore, Datastore, Digest

CUTOFF_S = 24 * 3600 + 5 * 60  # the reference's default: relatime updates access times once a day
CLOCK_SLACK_S = 5 * 60
FOLDERS = 65536
ZERO_CHUNK = bytes(4 * 1024 * 1024)
AGED_S = 10.0  # more than the resolution of any file system's times (2 s on FAT)


class TimesNotKept(Unavailable):
    """The file system does not keep the times that garbage collection relies on."""


@dataclass(slots=True)
class _Inventory:
    """Every chunk file at one moment, as arrays (24 bytes a chunk), and the `.bad` files as (name, size, last sign of use)."""

    prefixes: Prefixes
    sizes: NDArray[np.int64]
    used: NDArray[np.float64]
    bad: list[tuple[str, int, float]]


@dataclass(frozen=True, slots=True)
class _Ages:
    """Files used before `delete_before` may go, those used before `pending_before` are waited for."""

    delete_before: float
    pending_before: float


def run_gc(
    store: Datastore, task: Progress, *, clock: Clock, upid: str | None, cutoff_s: float = CUTOFF_S, check_times: bool = True
) -> GcStatus:
    """Collect garbage once, save and return the figures; an earlier status stays when the run fails.

    Raises Conflict when a collection runs or another process writes, IndexUnreadable, TimesNotKept, Unavailable, Aborted.
    """
    with store.hold_for_collection():
        task.log(f"starting garbage collection on store {store.name}")
        if check_times:
            check_times_are_kept(store.chunks)
            task.log("Access time update check successful, proceeding with GC.")
        status = GcStatus(upid=upid)
        ages = _ages(store, clock.now(), cutoff_s)
        task.log(f"unused chunks are removed when they were last used before {_text(ages.delete_before)}")
        task.log("Start GC phase1 (mark used chunks)")
        marks, inventory = _mark(store, task)
        missing = _report_missing(store, marks, inventory, task)
        task.log("Start GC phase2 (sweep unused chunks)")
        _sweep(store, marks.prefixes(), missing, inventory, ages, status, task)
        _fill(status, marks)
        store.save_gc_status(status.record())
    for line in status.lines():
        task.log(line)
    return status


def check_times_are_kept(chunks: ChunkStore) -> None:
    """Insert the chunk of zeros, set it back, touch it and see whether its time moves. Raises TimesNotKept.

    The reference waits a second between two touches instead; setting the time back tells the same at once.
    """
    digest = hashlib.sha256(ZERO_CHUNK).digest()
    chunks.insert(digest, blob.encode(ZERO_CHUNK))
    chunks.age(digest, seconds=AGED_S)
    before = chunks.times(digest)
    chunks.touch(digest)
    after = chunks.times(digest)
    if before is None or after is None or after.used <= before.used:
        raise TimesNotKept("the file system does not keep access times, garbage collection would delete chunks in use")


def _ages(store: Datastore, now: float, cutoff_s: float) -> _Ages:
    writer = store.oldest_writer()
    if writer is None:
        return _Ages(now - cutoff_s, now)
    return _Ages(min(now - cutoff_s, writer - CLOCK_SLACK_S), writer)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mark(store: Datastore, task: Progress) -> tuple[Marks, _Inventory]:
    """Read all indexes, and list all chunks beside it: the one is bound by memory, the other by system calls."""
    marks = Marks()
    with ThreadPoolExecutor(1, "gc-list") as pool:
        listing = pool.submit(_take_inventory, store.chunks, task)
        marks.read_new(store, task)
        inventory = listing.result()
    while marks.read_new(store, task):
        pass
    for path in marks.stray:
        task.log(f"found (and marked) index file outside of expected directory scheme: {path}")
    if marks.stray:
        task.warn(f"Found {len(marks.stray)} index files outside of expected directory scheme")
    return marks, inventory


def _take_inventory(chunks: ChunkStore, task: Progress) -> _Inventory:
    prefixes: list[Prefixes] = []
    sizes: list[NDArray[np.int64]] = []
    used: list[NDArray[np.float64]] = []
    bad: list[tuple[str, int, float]] = []
    for files in _batches(chunks, task):
        good = [file for file in files if len(file[0]) == 64]
        bad += [file for file in files if len(file[0]) > 64]
        raw = bytes.fromhex("".join([name[:16] for name, _, _ in good]))
        prefixes.append(np.frombuffer(raw, ">u8").astype(np.uint64))
        sizes.append(np.array([size for _, size, _ in good], np.int64))
        used.append(np.array([time for _, _, time in good], np.float64))
    return _Inventory(np.concatenate(prefixes), np.concatenate(sizes), np.concatenate(used), bad)


def _batches(chunks: ChunkStore, task: Progress) -> Iterator[list[tuple[str, int, float]]]:
    """The files of 256 folders at a time; at least one batch."""
    files: list[tuple[str, int, float]] = []
    for number in range(FOLDERS):
        files += chunks.folder(number)
        if number % 256 == 255:
            task.check_abort()
            yield files
            files = []


def _report_missing(store: Datastore, marks: Marks, inventory: _Inventory, task: Progress) -> set[Digest]:
    """Digests that an index names and no chunk file has; a warning for each index that needs them."""
    named = marks.prefixes()
    absent = named[~contained(named, np.sort(inventory.prefixes))]
    missing: set[Digest] = set()
    for path in marks.paths() if len(absent) else []:
        for digest in _named_among(store, path, absent):
            if store.chunks.stored_bytes(digest) is None:  # it may have been inserted since the listing
                missing.add(digest)
                task.warn(f"warning: unable to access non-existent chunk {digest.hex()}, required by '{path}'")
    return missing


def _named_among(store: Datastore, path: str, prefixes: Prefixes) -> list[Digest]:
    index = open_index(store, path)
    if index is None:
        return []
    hits = np.flatnonzero(contained(prefixes_of(index), prefixes))
    return sorted({index.digest(int(position)) for position in hits})


def _sweep(
    store: Datastore, named: Prefixes, missing: set[Digest], inventory: _Inventory, ages: _Ages, status: GcStatus, task: Progress
) -> None:
    """Delete what is unused and old; count everything."""
    unused = ~contained(inventory.prefixes, named)
    old = unused & (inventory.used < ages.delete_before)
    pending = unused & ~old & (inventory.used < ages.pending_before)
    kept = ~(old | pending)
    status.pending_chunks, status.pending_bytes = int(pending.sum()), int(inventory.sizes[pending].sum())
    status.disk_chunks, status.disk_bytes = int(kept.sum()), int(inventory.sizes[kept].sum())
    _delete(store.chunks, np.sort(inventory.prefixes[old]), ages, status, task)
    for name, size, used in inventory.bad:
        task.check_abort()
        _sweep_bad(store.chunks, name, size, used, ages, status, needed=bytes.fromhex(name[:64]) in missing)


def _delete(chunks: ChunkStore, old: Prefixes, ages: _Ages, status: GcStatus, task: Progress) -> None:
    """Delete the chunks of these prefixes that are still old."""
    percent = 0
    done = 0
    for number in np.unique(old >> np.uint64(48)):
        for name, size, _ in chunks.folder(int(number)):
            if len(name) == 64 and contained(np.array([prefix_of(bytes.fromhex(name))], np.uint64), old)[0]:
                task.check_abort()
                _delete_one(chunks, name, size, ages, status)
                done += 1
        if 100 * done // len(old) > percent:
            percent = 100 * done // len(old)
            task.log(f"processed {percent}% ({done} chunks)")


def _delete_one(chunks: ChunkStore, name: str, size: int, ages: _Ages, status: GcStatus) -> None:
    deleted = chunks.delete_unused(name, before=ages.delete_before)
    if deleted is None:  # touched since it was listed
        status.disk_chunks += 1
        status.disk_bytes += size
    else:
        status.removed_chunks += 1
        status.removed_bytes += deleted


def _sweep_bad(chunks: ChunkStore, name: str, size: int, used: float, ages: _Ages, status: GcStatus, *, needed: bool) -> None:
    """A `.bad` file stays while an index needs its digest and no good chunk exists: it may be all that is left of the data."""
    if needed or used >= ages.pending_before:
        status.disk_bytes += size
    elif used >= ages.delete_before:
        status.still_bad += 1
        status.pending_bytes += size
    elif chunks.delete_unused(name, before=ages.delete_before) is not None:
        status.removed_bad += 1
        status.removed_bytes += size


def _fill(status: GcStatus, marks: Marks) -> None:
    status.index_file_count = marks.index_files
    status.index_data_bytes = marks.index_bytes
    status.cache_misses = len(marks.prefixes())
    status.cache_hits = marks.references - status.cache_misses
