"""Backups and removals at every step of a garbage collection: afterwards each finished snapshot is complete.

Each scenario runs again and again, one step of the collection later every time, until the collection ends before its turn comes.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot, write_archive, write_manifest
from kit.stores import SparseDatastore, sparse_store
from platevault.clock import ManualClock
from platevault.formats import blob
from platevault.formats.manifest import CryptMode, ManifestFile
from platevault.formats.names import ROOT, SnapshotName
from platevault.services.gc import run_gc
from platevault.services.progress import Recorded
from platevault.store.datastore import Datastore
from platevault.store.filesystem import index_walk

FIRST, SECOND, THIRD = (snapshot(time=NOON + day * DAY) for day in range(3))
OTHERS = [snapshot("host/0"), snapshot("vm/100")]  # before and after the group in the order of the walk
CONTENT = pieces("shared")
DIGESTS = [hashlib.sha256(piece).digest() for piece in CONTENT]


Turns = dict[int, Callable[[], object]]


class Steps(Recorded):
    """A collection whose `turn`-th step (a line, a look for aborts, a directory that is entered) is preceded by an act."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
        super().__init__()
        self._turns, self.count, self._thread = turns, 0, threading.current_thread()
        real = index_walk._descend

        def descend(*arguments: Any) -> Iterator[Any]:
            self._step()
            yield from real(*arguments)

        monkeypatch.setattr(index_walk, "_descend", descend)

    def log(self, text: str) -> None:
        super().log(text)
        self._step()

    def check_abort(self) -> None:
        super().check_abort()
        self._step()

    def _step(self) -> None:
        if threading.current_thread() is self._thread:  # the thread that lists chunks is always in the middle of something
            self.count += 1
            act = self._turns.pop(self.count, None)
            if act is not None:
                act()


class Session:
    """A running backup with the locks of one; its chunks are all taken over from the snapshot before it, none is uploaded."""

    def __init__(self, store: Datastore, name: SnapshotName, previous: SnapshotName) -> None:
        self._store, self._name = store, name
        self._locks = ExitStack()
        self._locks.enter_context(store.lock_group(ROOT, name.group))
        self._locks.enter_context(store.hold_for_writing())
        self._locks.enter_context(store.lock_snapshot(ROOT, previous, shared=True))
        self._known = store.open_index(ROOT, previous, "root.pxar.didx")
        self._locks.enter_context(store.create_snapshot(ROOT, name))

    def finish(self) -> None:
        writer = self._store.create_dynamic_index(ROOT, self._name, "root.pxar.didx")
        for number in range(self._known.count):
            writer.append(self._known.chunk_span(number)[1], self._known.digest(number))
        file = ManifestFile("root.pxar.didx", self._known.size, writer.close().hex(), CryptMode.NONE)
        write_manifest(self._store, ROOT, self._name, [file])
        self._locks.close()


class Scene:
    """A store with old chunks and a collection that is about to begin."""

    def __init__(self, where: Path) -> None:
        self.clock = ManualClock(os.stat(where).st_mtime)
        self.store = sparse_store(where, clock=self.clock)
        backup(self.store, FIRST, chunks=CONTENT)
        for name in OTHERS:
            backup(self.store, name)
        for entry in list(self.store.chunks.entries()):
            self.store.chunks.age(entry.digest, seconds=30 * DAY)

    def collect(self, task: Recorded) -> None:
        run_gc(self.store, task, clock=self.clock, upid=None, check_times=False)

    def check_whole(self, *finished: SnapshotName) -> None:
        for group in self.store.groups(ROOT):
            for entry in self.store.snapshots(ROOT, group):
                for file in self.store.read_manifest(ROOT, entry.name).files if entry.finished else ():
                    index = self.store.open_index(ROOT, entry.name, file.filename)
                    for number in range(index.count):
                        plain = blob.decode(self.store.chunks.load(index.digest(number)))
                        assert hashlib.sha256(plain).digest() == index.digest(number)
        assert all(self.store.read_manifest(ROOT, name).files for name in finished)


def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrange: Callable[[Scene, int], Turns]) -> Iterator[Scene]:
    """The scene after a collection, for each turn at which something may happen."""
    for turn in range(1, 500):
        where = tmp_path / str(turn)
        where.mkdir()
        scene = Scene(where)
        with monkeypatch.context() as patch:
            turns = arrange(scene, turn)
            task = Steps(patch, turns)
            scene.collect(task)
        yield scene
        if turns:
            assert turn > 20
            return
    pytest.fail("the collection never ended before its turn came")


def take_over(store: SparseDatastore, name: SnapshotName, previous: SnapshotName) -> None:
    """The newer snapshot takes all chunks over, then the older one is pruned."""
    Session(store, name, previous).finish()
    store.remove_snapshot(ROOT, previous)


def test_a_backup_takes_chunks_over_and_the_old_one_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for scene in scenes(tmp_path, monkeypatch, lambda scene, turn: {turn: lambda: take_over(scene.store, SECOND, FIRST)}):
        if scene.store.snapshot_exists(ROOT, SECOND):
            scene.check_whole(SECOND)


def test_that_happens_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arrange(scene: Scene, turn: int) -> Turns:
        return {turn: lambda: take_over(scene.store, SECOND, FIRST), turn + 1: lambda: take_over(scene.store, THIRD, SECOND)}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        if scene.store.snapshot_exists(ROOT, THIRD):
            scene.check_whole(THIRD)


def test_a_session_begins_before_the_collection_and_ends_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arrange(scene: Scene, turn: int) -> Turns:
        session = Session(scene.store, SECOND, FIRST)

        def end() -> None:
            session.finish()
            scene.store.remove_snapshot(ROOT, FIRST)

        return {turn: end}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        if scene.store.snapshots(ROOT, SECOND.group)[0].finished:
            scene.check_whole(SECOND)


def test_a_session_begins_in_the_collection_and_ends_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[Session] = []

    def arrange(scene: Scene, turn: int) -> Turns:
        sessions.clear()
        return {turn: lambda: sessions.append(Session(scene.store, SECOND, FIRST))}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        for session in sessions:
            session.finish()
            scene.store.remove_snapshot(ROOT, FIRST)
            scene.check_whole(SECOND)


def test_a_backup_uploads_what_is_garbage_until_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks exist, unused for a month: the upload must be answered so that they are there at the end."""

    def arrange(scene: Scene, turn: int) -> Turns:
        scene.store.remove_snapshot(ROOT, FIRST)
        return {turn: lambda: backup(scene.store, SECOND, chunks=CONTENT)}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        if scene.store.snapshot_exists(ROOT, SECOND):
            scene.check_whole(SECOND)
        else:
            assert not any(scene.store.chunks.stored_bytes(digest) for digest in DIGESTS)


def test_an_upload_that_is_not_indexed_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploaded at one step, named by an index after the collection."""
    open_sessions: list[ExitStack] = []

    def arrange(scene: Scene, turn: int) -> Turns:
        scene.store.remove_snapshot(ROOT, FIRST)
        open_sessions.clear()

        def upload() -> None:
            held = ExitStack()
            held.enter_context(scene.store.lock_group(ROOT, SECOND.group))
            held.enter_context(scene.store.hold_for_writing())
            for plain in CONTENT:
                scene.store.chunks.insert(hashlib.sha256(plain).digest(), blob.encode(plain))
            open_sessions.append(held)

        return {turn: upload}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        for held in open_sessions:
            assert all(scene.store.chunks.stored_bytes(digest) for digest in DIGESTS)
            scene.clock.advance(10 * DAY)  # and the session is a slow one: the next collection leaves them alone, too
            scene.collect(Recorded())
            assert all(scene.store.chunks.stored_bytes(digest) for digest in DIGESTS)
            held.close()


def test_a_prune_in_the_middle_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arrange(scene: Scene, turn: int) -> Turns:
        return {turn: lambda: [scene.store.remove_group(ROOT, name.group) for name in OTHERS]}

    for scene in scenes(tmp_path, monkeypatch, arrange):
        scene.check_whole(FIRST)


def test_an_index_that_replaces_one_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot is removed and backed up again under the same time, with chunks of another one."""

    def again(scene: Scene) -> None:
        scene.store.remove_snapshot(ROOT, OTHERS[0])
        backup(scene.store, OTHERS[0], chunks=CONTENT)
        scene.store.remove_snapshot(ROOT, FIRST)

    for scene in scenes(tmp_path, monkeypatch, lambda scene, turn: {turn: lambda: again(scene)}):
        scene.check_whole(*OTHERS)


@pytest.mark.parametrize("times", range(1, 5))
def test_each_walk_is_about_to_enter_the_snapshot_that_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The walk has listed the group, enters the snapshot, and it is gone: its chunks live on in one that the list does not have."""
    scene = Scene(tmp_path)
    chain = [snapshot(time=NOON + day * DAY) for day in range(times + 1)]
    real = index_walk._descend

    def descend(parent: int, name: str, path: str, depth: int) -> Iterator[Any]:
        if len(chain) > 1 and path == str(chain[0]):
            take_over(scene.store, chain[1], chain.pop(0))
        yield from real(parent, name, path, depth)

    monkeypatch.setattr(index_walk, "_descend", descend)
    scene.collect(Recorded())
    [left] = chain
    scene.check_whole(left)


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scene: Scene) -> None:
        with scene.store.lock_group(ROOT, SECOND.group), scene.store.create_snapshot(ROOT, SECOND):
            write_archive(scene.store, ROOT, SECOND, "root.pxar.didx", pieces("new"))
            scene.store.remove_snapshot(ROOT, SECOND, force=True, locked=True)

    for scene in scenes(tmp_path, monkeypatch, lambda scene, turn: {turn: lambda: fail(scene)}):
        scene.check_whole(FIRST, *OTHERS)
        assert [entry.name for entry in scene.store.snapshots(ROOT, FIRST.group)] == [FIRST]
