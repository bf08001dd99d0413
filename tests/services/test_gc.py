"""Garbage collection: what goes, what stays, what it counts, and when it refuses to delete anything."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot
from kit.fixture_store import expected
from kit.stores import SparseChunks, SparseDatastore, sparse_store
from platevault.clock import ManualClock
from platevault.errors import Aborted, Conflict, Corrupt, PlatevaultError, Unavailable
from platevault.formats import blob
from platevault.formats.names import ROOT, Namespace
from platevault.services.gc import CLOCK_SLACK_S, CUTOFF_S, ZERO_CHUNK, TimesNotKept, run_gc
from platevault.services.gc_mark import IndexUnreadable
from platevault.services.gc_status import GcStatus, human
from platevault.services.progress import Recorded
from platevault.store.datastore import Datastore

HOUR = 3600
ZERO = hashlib.sha256(ZERO_CHUNK).digest()


@pytest.fixture
def clock(tmp_path: Path) -> ManualClock:
    """Shows the time of the files that are about to be made."""
    return ManualClock(os.stat(tmp_path).st_mtime)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> SparseDatastore:
    return sparse_store(tmp_path, clock=clock)


def put(store: Datastore, plain: bytes, *, unused_s: float = 0) -> bytes:
    """A chunk that was used so long ago."""
    digest = hashlib.sha256(plain).digest()
    store.chunks.insert(digest, blob.encode(plain))
    if unused_s:
        store.chunks.age(digest, seconds=unused_s)
    return digest


def collect(store: Datastore, clock: ManualClock, task: Recorded | None = None) -> GcStatus:
    return run_gc(store, task or Recorded(), clock=clock, upid="UPID", check_times=False)


def digests(store: Datastore) -> set[bytes]:
    return {entry.digest for entry in store.chunks.entries() if entry.bad is None}


def bad_file(store: Datastore, digest: bytes) -> None:
    """Make a chunk a `.bad` file that was not used for days."""
    assert store.chunks.mark_bad(digest, is_bad=lambda raw: True)


class TestAges:
    """Which unused chunks go."""

    @pytest.mark.parametrize(
        ("unused_s", "counted"),
        [(0, "disk"), (60, "pending"), (CUTOFF_S - 60, "pending"), (CUTOFF_S + 60, "removed"), (30 * DAY, "removed")],
    )
    def test_by_cutoff(self, store: SparseDatastore, clock: ManualClock, unused_s: float, counted: str) -> None:
        digest = put(store, b"garbage", unused_s=unused_s)
        clock.advance(0 if unused_s else -1)  # a chunk from after the begin counts as used
        status = collect(store, clock)
        figures = {"disk": status.disk_chunks, "pending": status.pending_chunks, "removed": status.removed_chunks}
        assert figures == {"disk": 0, "pending": 0, "removed": 0} | {counted: 1}
        assert (digest in digests(store)) == (counted != "removed")

    def test_by_a_shorter_cutoff(self, store: SparseDatastore, clock: ManualClock) -> None:
        put(store, b"garbage", unused_s=2 * HOUR)
        assert run_gc(store, Recorded(), clock=clock, upid=None, cutoff_s=3 * HOUR, check_times=False).removed_chunks == 0
        assert run_gc(store, Recorded(), clock=clock, upid=None, cutoff_s=HOUR, check_times=False).removed_chunks == 1

    def test_by_the_oldest_writer(self, store: SparseDatastore, clock: ManualClock) -> None:
        """A backup that has been running for three days may be about to name what it uploaded on the first one."""
        clock.advance(-3 * DAY)
        with store.hold_for_writing():
            clock.advance(2 * DAY)
            with store.hold_for_writing():
                clock.advance(DAY)
                mine = put(store, b"uploaded by the first writer", unused_s=3 * DAY - 60)
                skewed = put(store, b"uploaded when the clock was a little behind", unused_s=3 * DAY + CLOCK_SLACK_S - 60)
                older = put(store, b"garbage", unused_s=3 * DAY + CLOCK_SLACK_S + 60)
                status = collect(store, clock)
        assert digests(store) == {mine, skewed}
        assert (status.removed_chunks, status.pending_chunks, status.disk_chunks) == (1, 1, 1)
        assert older not in digests(store)
        assert collect(store, clock).removed_chunks == 2

    def test_a_touch_between_listing_and_deletion_counts(self, store: SparseDatastore, clock: ManualClock) -> None:
        digest = put(store, b"garbage", unused_s=2 * DAY)
        task = AtLine("Start GC phase2", lambda: store.chunks.touch(digest))
        status = collect(store, clock, task)
        assert (status.removed_chunks, status.disk_chunks, digests(store)) == (0, 1, {digest})


class AtLine(Recorded):
    """Does something when a line is logged."""

    def __init__(self, text: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._text, self._act = text, act

    def log(self, text: str) -> None:
        super().log(text)
        if text.startswith(self._text):
            self._act()


class TestReferences:
    """Nothing that an index names is deleted, however old it is."""

    @pytest.mark.parametrize("ns", ["", "a", "a/b"])
    @pytest.mark.parametrize("finish", [True, False], ids=["finished", "unfinished"])
    def test_of_snapshots(self, store: SparseDatastore, clock: ManualClock, ns: str, finish: bool) -> None:
        for part in ("a", "a/b"):
            store.create_namespace(Namespace.parse(part))
        made = backup(store, ns=Namespace.parse(ns), finish=finish)
        garbage = put(store, b"garbage")
        clock.advance(30 * DAY)
        status = collect(store, clock)
        assert digests(store) == set(made.digests)
        assert garbage not in digests(store)
        assert (status.index_file_count, status.disk_chunks, status.removed_chunks) == (1, 3, 1)
        assert status.index_data_bytes == 1500

    def test_until_the_snapshot_goes(self, store: SparseDatastore, clock: ManualClock) -> None:
        first = backup(store, snapshot(), chunks=[*pieces("shared"), *pieces("first")])
        second = backup(store, snapshot(time=NOON + DAY), chunks=[*pieces("shared"), *pieces("second")])
        clock.advance(30 * DAY)
        store.remove_snapshot(ROOT, first.name)
        assert collect(store, clock).removed_chunks == 3
        assert digests(store) == set(second.digests)

    def test_of_indexes_outside_of_the_hierarchy(self, store: SparseDatastore, tmp_path: Path, clock: ManualClock) -> None:
        """Somebody moved a snapshot aside by hand."""
        made = backup(store)
        (tmp_path / "store" / "host" / "a").rename(tmp_path / "store" / "set aside")
        aside = tmp_path / "store" / "set aside" / snapshot().time_text
        (aside / "root.pxar.didx").rename(aside / "my back\udce4p.didx")  # a name that is no text
        clock.advance(30 * DAY)
        task = Recorded()
        collect(store, clock, task)
        assert digests(store) == set(made.digests)
        assert task.warnings == ["Found 1 index files outside of expected directory scheme"]
        assert any(line.endswith("set aside/2023-11-14T22:13:20Z/my back\udce4p.didx") for line in task.lines)
        (aside / "other.fidx").touch()
        with pytest.raises(IndexUnreadable):
            collect(store, clock, task)

    def test_hidden_directories_do_not_count(self, store: SparseDatastore, tmp_path: Path, clock: ManualClock) -> None:
        backup(store)
        (tmp_path / "store" / "host" / "a").rename(tmp_path / "store" / "host" / ".a")
        clock.advance(30 * DAY)
        collect(store, clock)
        assert digests(store) == set()

    def test_a_temporary_index_does_not_count(self, store: SparseDatastore, clock: ManualClock) -> None:
        store.create_group(ROOT, snapshot().group, "root@pam")
        store.create_snapshot(ROOT, snapshot()).release()
        writer = store.create_dynamic_index(ROOT, snapshot(), "a.didx")
        digest = put(store, b"uploaded")
        writer.append(8, digest)
        clock.advance(2 * DAY)
        assert collect(store, clock).index_file_count == 0
        assert digests(store) == set()
        writer.drop()

    def test_the_same_chunk_in_many_indexes(self, store: SparseDatastore, clock: ManualClock) -> None:
        for number in range(20):
            backup(store, snapshot(f"host/{number}"), chunks=pieces("shared"))
        status = collect(store, clock)
        assert (status.index_file_count, status.disk_chunks) == (20, 3)
        assert (status.cache_misses, status.cache_hits) == (3, 57)
        assert status.deduplication_factor == pytest.approx(20 * 1500 / status.disk_bytes)


class TestRefusals:
    """A run that cannot be sure deletes nothing and keeps the figures of the run before."""

    @pytest.fixture
    def old(self, store: SparseDatastore, clock: ManualClock) -> bytes:
        """Garbage of a store that was collected once."""
        backup(store)
        collect(store, clock)
        return put(store, b"garbage", unused_s=30 * DAY)

    def check_refused(self, store: SparseDatastore, clock: ManualClock, old: bytes, error: type[PlatevaultError]) -> None:
        before = store.load_gc_status()
        with pytest.raises(error):
            run_gc(store, Recorded(), clock=clock, upid="other", check_times=False)
        assert old in digests(store)
        assert store.load_gc_status() == before
        store.hold_for_collection().release()

    @pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"nothing of the kind"])
    def test_an_index_that_is_none(self, store: SparseDatastore, clock: ManualClock, tmp_path: Path, old: bytes, content: bytes) -> None:
        (tmp_path / "store" / str(snapshot()) / "root.pxar.didx").write_bytes(content)
        self.check_refused(store, clock, old, Corrupt)

    def test_an_index_that_was_cut(self, store: SparseDatastore, clock: ManualClock, tmp_path: Path, old: bytes) -> None:
        path = tmp_path / "store" / str(snapshot()) / "root.pxar.didx"
        path.write_bytes(path.read_bytes()[:-1])
        self.check_refused(store, clock, old, Corrupt)

    @pytest.mark.parametrize("at", [40, 4096, 4096 + 20, -1], ids=["checksum", "offset", "digest", "end"])
    def test_an_index_in_which_a_bit_has_turned(
        self, store: SparseDatastore, clock: ManualClock, tmp_path: Path, old: bytes, at: int
    ) -> None:
        """It names another chunk now, and the one that it named looks unused."""
        path = tmp_path / "store" / str(snapshot()) / "root.pxar.didx"
        raw = bytearray(path.read_bytes())
        raw[at] ^= 1
        path.write_bytes(raw)
        self.check_refused(store, clock, old, Corrupt)

    def test_an_index_that_cannot_be_read(
        self, store: SparseDatastore, clock: ManualClock, old: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.pread

        def pread(descriptor: int, size: int, offset: int) -> bytes:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".didx"):
                raise OSError(5, os.strerror(5))
            return real(descriptor, size, offset)

        monkeypatch.setattr(os, "pread", pread)
        self.check_refused(store, clock, old, Unavailable)

    def test_a_directory_that_cannot_be_read(
        self, store: SparseDatastore, clock: ManualClock, old: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.open

        def refuse(path: str, *args: int, **options: int) -> int:
            if path == "host":
                raise PermissionError(13, os.strerror(13))
            return real(path, *args, **options)

        monkeypatch.setattr(os, "open", refuse)
        self.check_refused(store, clock, old, Unavailable)

    def test_a_link_where_backups_belong(self, store: SparseDatastore, clock: ManualClock, tmp_path: Path, old: bytes) -> None:
        """An administrator moved a group to another disk and left a link: its chunks are needed."""
        (tmp_path / "store" / "host").rename(tmp_path / "elsewhere")
        (tmp_path / "store" / "host").symlink_to(tmp_path / "elsewhere")
        self.check_refused(store, clock, old, Unavailable)

    def test_lost_and_found(self, store: SparseDatastore, clock: ManualClock, old: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """May be unreadable at the top, where file systems make it; not further down."""
        assert store.path is not None
        real = os.open

        def refuse(path: str, *args: int, **options: int) -> int:
            if path == "lost+found":
                raise PermissionError(13, os.strerror(13))
            return real(path, *args, **options)

        monkeypatch.setattr(os, "open", refuse)
        (store.path / "host" / "a" / "lost+found").mkdir()
        self.check_refused(store, clock, old, Unavailable)
        (store.path / "host" / "a" / "lost+found").rmdir()
        (store.path / "lost+found").mkdir()
        (store.path / "host" / "lost+found").mkdir()
        collect(store, clock)
        assert old not in digests(store)

    @pytest.mark.parametrize("line", ["Start GC phase1", "marked", "Start GC phase2"])
    def test_an_abort(self, store: SparseDatastore, clock: ManualClock, old: bytes, line: str) -> None:
        task = AtLine(line, lambda: setattr(task, "aborted", True))
        before = store.load_gc_status()
        with pytest.raises(Aborted):
            collect(store, clock, task)
        assert old in digests(store)
        assert store.load_gc_status() == before

    def test_a_second_run(self, store: SparseDatastore, clock: ManualClock, old: bytes) -> None:
        with store.hold_for_collection(), pytest.raises(Conflict):
            collect(store, clock)
        assert collect(store, clock).removed_chunks == 1

    def test_a_chunk_that_cannot_be_deleted(
        self, store: SparseDatastore, clock: ManualClock, old: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, os.strerror(1))

        monkeypatch.setattr(os, "unlink", refuse)
        self.check_refused(store, clock, old, Unavailable)


class TestMissing:
    """A chunk that an index names and that is not there."""

    def test_it_is_reported_for_each_index(self, store: SparseDatastore, clock: ManualClock) -> None:
        names = [backup(store, snapshot(f"host/{text}"), chunks=pieces("shared")).name for text in "ab"]
        lost = hashlib.sha256(pieces("shared")[1]).digest()
        assert store.chunks.delete_unused(lost.hex(), before=1e12)
        task = Recorded()
        collect(store, clock, task)
        assert task.warnings == [
            f"warning: unable to access non-existent chunk {lost.hex()}, required by '{name}/root.pxar.didx'" for name in names
        ]

    def test_its_bad_copies_stay(self, store: SparseDatastore, clock: ManualClock) -> None:
        """They may be all that is left of the data."""
        made = backup(store)
        bad_file(store, made.digests[0])
        clock.advance(30 * DAY)
        status = collect(store, clock)
        assert (status.removed_bad, status.still_bad, status.disk_chunks) == (0, 0, 2)
        assert [(entry.digest, entry.bad) for entry in store.chunks.entries() if entry.bad is not None] == [(made.digests[0], 0)]
        store.remove_snapshot(ROOT, made.name)
        assert collect(store, clock).removed_bad == 1

    def test_bad_copies_of_good_chunks_go(self, store: SparseDatastore, clock: ManualClock) -> None:
        made = backup(store)
        size = store.chunks.stored_bytes(made.digests[0])
        bad_file(store, made.digests[0])
        put(store, pieces(str(snapshot()))[0])
        clock.advance(60)
        status = collect(store, clock)
        assert (status.removed_bad, status.still_bad, status.pending_bytes) == (0, 1, size)
        clock.advance(30 * DAY)
        status = collect(store, clock)
        assert (status.removed_bad, status.still_bad, status.removed_bytes) == (1, 0, size)
        assert digests(store) == set(made.digests)

    def test_foreign_files_among_the_chunks_stay(self, store: SparseDatastore, clock: ManualClock, tmp_path: Path) -> None:
        folder = tmp_path / "store" / ".chunks" / "0000"
        folder.mkdir()
        names = {"readme", f"{'0' * 64}.10.bad", f"{'0' * 64}.tmp_aB3dEf", "0" * 63, "0" * 64 + "~"}
        for name in names:
            (folder / name).touch()
            os.utime(folder / name, (0, 0))
        (folder / ("0" * 64)).mkdir()
        collect(store, clock)
        assert set(os.listdir(folder)) == {*names, "0" * 64}


class TestTimes:
    """The file system must keep access times, or everything would look unused."""

    def test_they_are_kept(self, store: SparseDatastore, clock: ManualClock) -> None:
        run_gc(store, Recorded(), clock=clock, upid=None)
        assert digests(store) == {ZERO}

    def test_they_are_not(self, store: SparseDatastore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        old = put(store, b"garbage", unused_s=2 * DAY)
        monkeypatch.setattr(SparseChunks, "touch", lambda chunks, digest: True)
        with pytest.raises(TimesNotKept):
            run_gc(store, Recorded(), clock=clock, upid=None)
        assert old in digests(store)

    def test_a_chunk_of_zeros_in_use_stays(self, store: SparseDatastore, clock: ManualClock) -> None:
        backup(store, chunks=[ZERO_CHUNK])
        clock.advance(30 * DAY)
        run_gc(store, Recorded(), clock=clock, upid=None)
        assert digests(store) == {ZERO}


class TestStatus:
    """The figures, as they are stored and shown."""

    def test_the_lines_are_those_of_the_recorded_run(self) -> None:
        assert GcStatus.from_record(expected()["gc"]).lines() == [
            "Chunk cache: hits 23, misses 62 (hit ratio 27.06%)",
            "Removed garbage: 0 B",
            "Removed chunks: 0",
            "Pending removals: 2.742 MiB (in 9 chunks)",
            "Leftover bad chunks: 1",
            "Original data usage: 142.063 MiB",
            "On-Disk usage: 6.024 MiB (4.24%)",
            "On-Disk chunks: 61",
            "Deduplication factor: 23.58",
            "Average chunk size: 101.132 KiB",
        ]

    @pytest.mark.parametrize("missing", [key for key in expected()["gc"] if key not in ("upid", "cache-stats")])
    def test_a_record_that_lacks_a_figure_counts_as_none(self, missing: str) -> None:
        record = {key: value for key, value in expected()["gc"].items() if key != missing}
        assert GcStatus.from_record(record) == GcStatus()

    @pytest.mark.parametrize("record", [None, {}, {"disk-bytes": "x"}])
    def test_nothing_counts_as_never_collected(self, record: dict[str, object] | None) -> None:
        assert GcStatus.from_record(record) == GcStatus()
        assert GcStatus().deduplication_factor == 1.0

    def test_a_record_comes_back(self) -> None:
        record = expected()["gc"]
        assert GcStatus.from_record(record).record() == record
        assert "cache-stats" not in GcStatus().record()

    @pytest.mark.parametrize(
        ("size", "text"),
        [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1_246_614_163, "1.161 GiB"), (2**60, "1024 PiB")],
    )
    def test_sizes(self, size: int, text: str) -> None:
        assert human(size) == text

    def test_what_cannot_be_read_is_none(self, store: SparseDatastore, tmp_path: Path) -> None:
        for raw in ("", "[]", "{", "\0"):
            (tmp_path / "store" / ".gc-status").write_text(raw)
            assert store.load_gc_status() is None
