"""An insert, a sweep and a verification meet at the same chunk file, each step of the one against the whole of the other.

Whoever has been told that a chunk is in the store must find it there. The threads meet at fixed points: the one stops just before a change
of the disk, the other runs until it is done or waits for a lock that the first one holds.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.stores import SparseChunks, SparseDatastore, sparse_store
from platevault.errors import Unavailable
from platevault.formats import blob
from platevault.store.filesystem.chunk_files import FilesystemChunks
from platevault.store.filesystem.touch import touch

PLAIN = b"what a chunk holds " * 100
DIGEST = hashlib.sha256(PLAIN).digest()
NAME = DIGEST.hex()
RAW = blob.encode(PLAIN, compress=False)
SMALL = blob.encode(PLAIN)
FAR_FUTURE = 1e10


class Stripe:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self, waits: threading.Event) -> None:
        self._lock = threading.Lock()
        self._waits = waits

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waits.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Meeting:
    """Runs `other` in a thread at the moment when this thread is about to change a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, waits: threading.Event) -> None:
        self._monkeypatch, self._waits = monkeypatch, waits
        self._threads: list[threading.Thread] = []

    def before(self, function: str, other: Callable[[], object]) -> None:
        module = "platevault.store.filesystem.chunk_files" if function == "touch" else "os"
        real = touch if function == "touch" else getattr(os, function)

        def called(*args: Any, **options: Any) -> Any:
            if not self._threads:
                self._start(other)
                assert self._waits.wait(30)
            return real(*args, **options)

        self._monkeypatch.setattr(f"{module}.{function}", called)

    def _start(self, other: Callable[[], object]) -> None:
        def run() -> None:
            try:
                other()
            finally:
                self._waits.set()

        self._threads.append(threading.Thread(target=run))
        self._threads[0].start()

    def end(self) -> None:
        """Wait for the other thread, which must have run."""
        assert self._threads
        self._threads[0].join(30)
        assert not self._threads[0].is_alive()


@pytest.fixture
def waits() -> threading.Event:
    return threading.Event()


@pytest.fixture
def chunks(tmp_path: Path, waits: threading.Event) -> Iterator[FilesystemChunks]:
    store = sparse_store(tmp_path)
    made = SparseChunks(
        os.open(tmp_path / "store" / ".chunks", os.O_RDONLY),
        "chunks",
        owner=None,
        sync_level=store._sync_level,
        stripes=[Stripe(waits)],  # type: ignore[list-item]
        doubts=store._process_lock.doubts,
    )
    yield made
    made.close()


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch, waits: threading.Event) -> Meeting:
    return Meeting(monkeypatch, waits)


def sweep(chunks: FilesystemChunks) -> Callable[[], object]:
    """Garbage collection deletes what was not used since yesterday."""
    times = chunks.times(DIGEST)
    assert times is not None
    before = times.used + 10_000
    return lambda: chunks.delete_unused(NAME, before=before)


def put(chunks: FilesystemChunks, *, streamed: bool) -> None:
    if not streamed:
        chunks.insert(DIGEST, SMALL)
        return
    writer = chunks.begin(DIGEST, encoded_bytes=len(SMALL), header_bytes=12)
    writer.write(SMALL[12:])
    writer.commit(SMALL[:12])


def store_old(chunks: FilesystemChunks, stored: bytes) -> None:
    chunks.insert(DIGEST, stored)
    chunks.age(DIGEST, seconds=100_000)


@pytest.mark.parametrize("stored", [SMALL, RAW, b""], ids=["the same", "larger", "empty"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_insert_while_the_sweep_is_about_to_delete(chunks: FilesystemChunks, meeting: Meeting, stored: bytes, streamed: bool) -> None:
    store_old(chunks, stored)
    meeting.before("unlink", lambda: put(chunks, streamed=streamed))
    sweep(chunks)()
    meeting.end()
    assert chunks.load(DIGEST) == SMALL


@pytest.mark.parametrize(
    ("stored", "step"), [(SMALL, "touch"), (SMALL, "stat"), (RAW, "rename"), (RAW, "stat"), (b"", "rename"), (b"", "stat")]
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_sweep_while_an_insert_is_about_to_decide(
    chunks: FilesystemChunks, meeting: Meeting, stored: bytes, step: str, streamed: bool
) -> None:
    store_old(chunks, stored)
    delete = sweep(chunks)
    meeting.before(step, delete)
    put(chunks, streamed=streamed)
    meeting.end()
    assert chunks.load(DIGEST) == SMALL


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_sweep_that_found_the_old_file_does_not_delete_the_new_one(
    chunks: FilesystemChunks, waits: threading.Event, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    """The insert has decided to replace the file; the sweep looks at the old one, waits for the rename if it can, and deletes."""
    store_old(chunks, RAW)
    decided, rename, unlink = threading.Event(), os.rename, os.unlink
    insert = threading.Thread(target=lambda: put(chunks, streamed=streamed))

    def renamed(*args: Any, **options: Any) -> None:
        decided.set()
        assert waits.wait(30)  # the sweep waits for a lock, or is about to delete
        rename(*args, **options)

    def unlinked(*args: Any, **options: Any) -> None:
        waits.set()
        insert.join(30)
        unlink(*args, **options)

    delete = sweep(chunks)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "unlink", unlinked)
    insert.start()
    assert decided.wait(30)
    delete()
    insert.join(30)
    assert chunks.load(DIGEST) == SMALL


def test_a_touch_while_the_sweep_is_about_to_delete(chunks: FilesystemChunks, meeting: Meeting) -> None:
    store_old(chunks, SMALL)
    told: list[bool] = []
    meeting.before("unlink", lambda: told.append(chunks.touch(DIGEST)))
    sweep(chunks)()
    meeting.end()
    assert told == [False]
    assert chunks.stored_bytes(DIGEST) is None


def test_a_good_chunk_that_replaces_a_corrupt_one_is_not_set_aside(chunks: FilesystemChunks, meeting: Meeting) -> None:
    chunks.insert(DIGEST, b"corrupt" * 1000)
    meeting.before("rename", lambda: put(chunks, streamed=True))
    assert chunks.mark_bad(DIGEST, is_bad=lambda raw: raw != SMALL) == f"{NAME}.0.bad"
    meeting.end()
    assert chunks.load(DIGEST) == SMALL


def test_objects_for_one_directory_share_their_locks(tmp_path: Path) -> None:
    one, two = sparse_store(tmp_path), sparse_store(tmp_path)
    assert one.chunks._stripe(DIGEST) is two.chunks._stripe(DIGEST)


def test_a_chunk_that_another_process_deletes_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sparse_store(tmp_path)
    store.chunks.insert(DIGEST, SMALL)

    def gone(parent: int, name: str) -> None:
        os.unlink(name, dir_fd=parent)
        touch(parent, name)

    monkeypatch.setattr("platevault.store.filesystem.chunk_files.touch", gone)
    assert not store.chunks.insert(DIGEST, SMALL).existed
    monkeypatch.undo()
    assert store.chunks.load(DIGEST) == SMALL


def test_a_file_that_vanishes_while_it_is_listed_takes_no_other_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sparse_store(tmp_path)
    digests = [DIGEST[:2] + bytes([number]) + DIGEST[3:] for number in range(3)]
    for digest in digests:
        store.chunks.insert(digest, SMALL)
    real = os.stat

    def looked(path: Any, **options: Any) -> os.stat_result:
        if path == digests[1].hex():
            raise FileNotFoundError(2, os.strerror(2))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", looked)
    assert {name for name, _, _ in store.chunks.folder(int(NAME[:4], 16))} == {digests[0].hex(), digests[2].hex()}


class TestMissingDirectory:
    """A chunk directory that is missing is damage: nothing can be written there, and nothing is in it."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SparseDatastore:
        store = sparse_store(tmp_path)
        store.chunks = FilesystemChunks(
            os.open(tmp_path / "store" / ".chunks", os.O_RDONLY),
            "chunks",
            owner=None,
            sync_level=store._sync_level,
            stripes=store._process_lock.stripes,
            doubts=store._process_lock.doubts,
        )
        return store

    def test_nothing_is_in_it(self, store: SparseDatastore) -> None:
        assert store.chunks.stored_bytes(DIGEST) is None
        assert store.chunks.times(DIGEST) is None
        assert not store.chunks.touch(DIGEST)
        assert store.chunks.delete_unused(NAME, before=FAR_FUTURE) is None
        assert store.chunks.folder(0) == []
        assert store.chunks.in_reading_order([DIGEST]) == [DIGEST]

    @pytest.mark.parametrize(
        "write",
        [lambda store: store.chunks.insert(DIGEST, SMALL), lambda store: store.chunks.begin(DIGEST, encoded_bytes=99, header_bytes=12)],
        ids=["whole", "streamed"],
    )
    def test_nothing_can_be_written(self, store: SparseDatastore, write: Callable[[SparseDatastore], object]) -> None:
        with pytest.raises(Unavailable):
            write(store)


def test_objects_that_are_dropped_let_go_of_their_directories(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    store = sparse_store(tmp_path)
    chunks = store.chunks
    hold = store.hold_for_writing()
    del store
    chunks.insert(DIGEST, SMALL)  # whoever still works with it works in the right directory
    del chunks
    hold.release()
    del hold
    assert set(os.listdir("/proc/self/fd")) == before


def test_closing_lets_go_at_once(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    store = sparse_store(tmp_path)
    store.close()
    store.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # `.lock` stays open as long as the object
    with pytest.raises(Unavailable):
        store.chunks.insert(DIGEST, SMALL)
    with pytest.raises(Unavailable):
        list(store.index_files())
