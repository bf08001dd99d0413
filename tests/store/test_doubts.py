"""Periods in which a power cut or lost writes may have torn chunk files: kept over restarts, and no chunk from one is trusted unread."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.clock import ManualClock
from platevault.errors import Unavailable
from platevault.formats import blob
from platevault.formats.names import ROOT, GroupName
from platevault.store.filesystem import process_lock
from platevault.store.filesystem.doubts import FLUSHED, MOST_PERIODS, SLACK_S, Doubts, boot_id

HOST = GroupName.parse("host/a")
PLAIN = b"what a chunk holds " * 100
DIGEST = hashlib.sha256(PLAIN).digest()
RAW = blob.encode(PLAIN, compress=False)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def start(base: int, now: float, boot: str) -> Doubts:
    return Doubts(base, now, boot=boot, owner=None)


def test_a_store_without_the_file_is_trusted(base: int) -> None:
    assert not start(base, 1000, "one").covers(999)
    assert not start(base, 2000, "one").covers(1500)


def test_a_restart_of_the_machine_adds_the_time_since_the_last_flush(base: int) -> None:
    start(base, 1000, "one").note_flushed(base, 1100)
    doubts = start(base, 2000, "two")
    assert [doubts.covers(time) for time in (1100 - SLACK_S - 1, 1100 - SLACK_S, 1500, 2000 + SLACK_S, 2000 + SLACK_S + 1)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_a_restart_of_the_program_keeps_what_is_known_and_adds_nothing(base: int) -> None:
    start(base, 1000, "one").note_flushed(base, 1100)
    start(base, 2000, "two").note_flushed(base, 2500)
    doubts = start(base, 3000, "two")
    assert doubts.covers(1500)
    assert not doubts.covers(2800)
    later = start(base, 4000, "three")
    assert (later.covers(1500), later.covers(2200), later.covers(3000)) == (True, False, True)


def test_old_periods_are_drawn_together(base: int, tmp_path: Path) -> None:
    for number in range(MOST_PERIODS + 10):
        doubts = start(base, 1000 * number + 500, f"boot {number}")
        doubts.note_flushed(base, 1000 * number + 800)
    kept = json.loads((tmp_path / FLUSHED).read_text())["doubtful"]
    assert len(kept) == MOST_PERIODS
    assert all(doubts.covers(1000 * number + 300) for number in range(1, MOST_PERIODS + 10))
    assert not doubts.covers(1000 * (MOST_PERIODS + 9) + 700)


@pytest.mark.parametrize("raw", ["", "{}", "[]", '{"boot": "one", "doubtful": [1]}', '{"boot": "one", "doubtful": null}', "\0"])
def test_what_cannot_be_understood_is_doubt_about_everything(base: int, tmp_path: Path, raw: str) -> None:
    (tmp_path / FLUSHED).write_text(raw)
    assert start(base, 2000, "one").covers(10)


def test_a_mark_that_cannot_be_written_does_not_move(base: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays whole, so that the next start comes to the same conclusion."""
    start(base, 1000, "one").note_flushed(base, 1100)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "rename", refuse)
        doubts = start(base, 2000, "two")
        assert doubts.covers(1500)
        doubts.note_flushed(base, 2100)
    assert (tmp_path / FLUSHED).stat().st_mtime == 1100
    assert os.listdir(tmp_path) == [FLUSHED]
    doubts.note_flushed(base, 2100)
    assert json.loads((tmp_path / FLUSHED).read_text())["boot"] == "two"
    with monkeypatch.context() as gone:
        gone.setattr(os, "utime", refuse)
        doubts.note_flushed(base, 2200)
    assert start(base, 3000, "three").covers(2150)


def test_the_system_tells_its_boot() -> None:
    assert boot_id() == boot_id() != ""


class TestChunks:
    """Chunks of a store whose machine has been restarted since they were written."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparseDatastore:
        sparse_store(tmp_path).chunks.insert(DIGEST, RAW)
        monkeypatch.setattr(process_lock, "boot_id", lambda: "later")
        return sparse_store(tmp_path)

    @staticmethod
    def tear(store: SparseDatastore, content: bytes) -> None:
        assert store.path is not None
        path = store.path / ".chunks" / DIGEST.hex()[:4] / DIGEST.hex()
        path.write_bytes(content)

    def test_a_whole_one_is_read_once_and_kept(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        then = store._process_lock.doubts.covers
        reads = 0

        def covers(written: float) -> bool:
            nonlocal reads
            reads += then(written)
            return then(written)

        monkeypatch.setattr(store._process_lock.doubts, "covers", covers)
        assert store.chunks.insert(DIGEST, RAW).existed
        assert reads == 1
        times = store.chunks.times(DIGEST)
        assert times is not None
        assert not then(times.used + 2 * SLACK_S)

    @pytest.mark.parametrize("content", [b"", RAW[:100], bytes(len(RAW)), RAW[:-1] + b"\0", RAW + b"\0"])
    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    def test_a_torn_one_is_written_anew(self, store: SparseDatastore, content: bytes, streamed: bool) -> None:
        self.tear(store, content)
        assert not store.chunks.touch(DIGEST)
        if streamed:
            writer = store.chunks.begin(DIGEST, encoded_bytes=len(RAW), header_bytes=12)
            writer.write(RAW[12:])
            assert not writer.commit(RAW[:12]).existed
        else:
            assert not store.chunks.insert(DIGEST, RAW).existed
        assert store.chunks.load(DIGEST) == RAW
        assert store.chunks.touch(DIGEST)

    def test_a_torn_one_is_no_clash(self, store: SparseDatastore) -> None:
        """Or every later backup of the same data would be refused."""
        secret = blob.header(blob.BlobKind.ENCRYPTED, blob.crc32(bytes(500)), bytes(16), bytes(16)) + bytes(500)
        self.tear(store, secret[:300])
        assert not store.chunks.insert(DIGEST, secret).existed
        assert store.chunks.load(DIGEST) == secret


class TestLostWrites:
    """The kernel says once that writes were lost, whoever asks first: it concerns everybody who was writing."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SparseDatastore:
        self.clock = ManualClock(now=os.stat(tmp_path).st_mtime)
        return sparse_store(tmp_path, clock=self.clock)

    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
        def fail(descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr("platevault.store.filesystem.datastore.syncfs", fail)
            yield patch

    def test_every_running_session_fails(self, store: SparseDatastore, failing: pytest.MonkeyPatch) -> None:
        with store.hold_for_writing():
            with store.hold_for_writing(), pytest.raises(Unavailable, match="Input/output error"):
                store.flush()
            failing.undo()
            with pytest.raises(Unavailable, match="lost writes"):
                store.flush()
        self.clock.advance(1)
        with store.hold_for_writing():
            store.flush()

    def test_a_backup_leaves_no_snapshot_then(self, store: SparseDatastore, failing: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unavailable, match="Input/output error"):
            backup(store)
        assert store.snapshots(ROOT, HOST) == []

    def test_what_was_written_then_is_not_trusted(self, store: SparseDatastore, failing: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unavailable):
            backup(store, chunks=[PLAIN, *pieces("x")])
        failing.undo()
        TestChunks.tear(store, bytes(len(RAW)))
        self.clock.advance(1)
        made = backup(store, snapshot(time=NOON + DAY), chunks=[PLAIN])
        assert blob.decode(store.chunks.load(made.digests[0])) == PLAIN
