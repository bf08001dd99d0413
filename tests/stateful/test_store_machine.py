"""Backups, removals, prune, verification and garbage collection in any order, against a model made of dictionaries.

After every step each finished snapshot of the model is in the store, nothing else is, and it can be read completely, unless a chunk of it
was damaged from outside. Sessions stay open over other steps; the process may die with them; days pass.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kit.backups import DAY, NOON, write_manifest
from kit.clocked_store import clocked_store
from platevault.clock import ManualClock
from platevault.errors import Conflict, Corrupt, NotFound
from platevault.formats import blob
from platevault.formats.manifest import CryptMode, ManifestFile
from platevault.formats.names import ROOT, GroupName, SnapshotName
from platevault.services.gc import run_gc
from platevault.services.progress import Recorded
from platevault.services.prune import run_prune_group
from platevault.services.prune_plan import Retention
from platevault.services.verify import VerifyFailed, run_verify, targets_below

GROUPS = [GroupName.parse(text) for text in ("host/a", "vm/1")]
PIECES = [hashlib.shake_128(bytes([number])).digest(100 + number) for number in range(8)]
DIGESTS = {hashlib.sha256(piece).digest(): piece for piece in PIECES}
UPID = "UPID:node:0000A1B2:01C3D4E5:0000002A:68A1B2C3:verify:store:root@pam:"
ARCHIVE = "root.pxar.didx"
groups = st.sampled_from(GROUPS)
pieces = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5)


@dataclass
class Kept:
    """What the model knows of a snapshot."""

    content: list[bytes] = field(default_factory=list)
    finished: bool = False
    protected: bool = False
    failed: bool = False  # by the last verification


@dataclass
class Session:
    """A running backup: its locks, the snapshot that it builds on, and what it has put together so far."""

    name: SnapshotName
    previous: SnapshotName | None
    locks: ExitStack
    content: list[bytes] = field(default_factory=list)


class StoreMachine(RuleBasedStateMachine):
    """Rules are what people and programs do; what must fail in a state is tried, too."""

    def __init__(self) -> None:
        super().__init__()
        self.where = Path(tempfile.mkdtemp())
        self.clock = ManualClock(self.where.stat().st_mtime + DAY)  # reading a file stamps it with the real time: never later than this
        self.store = clocked_store(self.where, self.clock)
        self.model: dict[GroupName, dict[SnapshotName, Kept]] = {group: {} for group in GROUPS}
        self.sessions: dict[GroupName, Session] = {}
        self.damaged: set[bytes] = set()  # digests whose file is wrong, or was set aside
        self.last_time = NOON

    def teardown(self) -> None:
        for session in self.sessions.values():
            session.locks.close()
        self.store.close()
        shutil.rmtree(self.where)

    @initialize()
    def begin_with_some_backups(self) -> None:
        for group in GROUPS:
            self.begin(group)
            self.upload(group, PIECES[:3])
            self.finish(group)

    # --- sessions ---

    @rule(group=groups)
    def begin(self, group: GroupName) -> None:
        if group in self.sessions:
            with pytest.raises(Conflict):
                self.store.lock_group(ROOT, group)
            return
        self.last_time += 60
        name, previous = SnapshotName(group, self.last_time), self.newest(group)
        locks = ExitStack()
        locks.enter_context(self.store.lock_group(ROOT, group))
        self.store.create_group(ROOT, group, "root@pam")
        locks.enter_context(self.store.hold_for_writing())
        if previous is not None:
            locks.enter_context(self.store.lock_snapshot(ROOT, previous, shared=True))
        locks.enter_context(self.store.create_snapshot(ROOT, name))
        self.sessions[group] = Session(name, previous, locks)
        self.model[group][name] = Kept()

    def newest(self, group: GroupName) -> SnapshotName | None:
        """What a session may build on: the newest finished snapshot, unless it failed verification."""
        finished = [name for name, kept in self.model[group].items() if kept.finished]
        return None if not finished or self.model[group][max(finished)].failed else max(finished)

    @rule(group=groups, content=pieces)
    def upload(self, group: GroupName, content: list[bytes]) -> None:
        session = self.sessions.get(group)
        if session:
            session.content += self.sent(content)

    def sent(self, content: list[bytes]) -> list[bytes]:
        for piece in content:
            digest = hashlib.sha256(piece).digest()
            if not self.store.chunks.insert(digest, blob.encode(piece)).existed:
                self.damaged.discard(digest)
        return content

    @rule(group=groups)
    def take_over(self, group: GroupName) -> None:
        """Name the chunks of the previous snapshot without sending them."""
        session = self.sessions.get(group)
        if session and session.previous:
            session.content += self.model[group][session.previous].content

    @precondition(lambda self: self.sessions)
    @rule(group=groups)
    def finish(self, group: GroupName) -> None:
        session = self.sessions.pop(group, None)
        if session is None:
            return
        session.content = session.content or self.sent(PIECES[:1])
        writer = self.store.create_dynamic_index(ROOT, session.name, ARCHIVE)
        end = 0
        for piece in session.content:
            end += len(piece)
            writer.append(end, hashlib.sha256(piece).digest())
        write_manifest(self.store, ROOT, session.name, [ManifestFile(ARCHIVE, end, writer.close().hex(), CryptMode.NONE)])
        session.locks.close()
        self.model[group][session.name] = Kept(session.content, finished=True)

    @rule(group=groups, content=pieces)
    def slow_backup(self, group: GroupName, content: list[bytes]) -> None:
        """Days lie between upload and end, and a collection in the middle."""
        if group not in self.sessions:
            self.begin(group)
            self.upload(group, content)
            self.clock.advance(3 * DAY)
            self.collect()
            self.finish(group)

    @precondition(lambda self: self.sessions)
    @rule(group=groups)
    def abort(self, group: GroupName) -> None:
        session = self.sessions.pop(group, None)
        if session is not None:
            self.store.remove_snapshot(ROOT, session.name, force=True, locked=True)
            session.locks.close()
            self.store.remove_empty_group(ROOT, group)
            del self.model[group][session.name]

    @rule()
    def die_and_restart(self) -> None:
        """The process is gone and its locks with it; what its sessions had begun lies around."""
        for session in self.sessions.values():
            session.locks.close()
        self.sessions.clear()
        self.store.close()
        self.store = clocked_store(self.where, self.clock)

    # --- removal ---

    def in_use(self, name: SnapshotName) -> bool:
        session = self.sessions.get(name.group)
        return session is not None and name in (session.name, session.previous)

    @contextmanager
    def refused_if(self, refused: bool) -> Iterator[None]:
        """The block must raise Conflict if, and only if, the model says so."""
        try:
            yield
        except Conflict:
            assert refused
        else:
            assert not refused

    @rule(group=groups, data=st.data())
    def forget(self, group: GroupName, data: st.DataObject) -> None:
        if not self.model[group]:
            with pytest.raises(NotFound):
                self.store.remove_snapshot(ROOT, SnapshotName(group, NOON))
            return
        name = data.draw(st.sampled_from(sorted(self.model[group])))
        refused = self.in_use(name) or self.model[group][name].protected
        with self.refused_if(refused):
            self.store.remove_snapshot(ROOT, name)
        if not refused:
            del self.model[group][name]

    @rule(group=groups)
    def forget_group(self, group: GroupName) -> None:
        """All of it, but for what is protected."""
        if not self.model[group]:
            return
        with self.refused_if(group in self.sessions):
            self.store.remove_group(ROOT, group)
        if group not in self.sessions:
            self.model[group] = {name: kept for name, kept in self.model[group].items() if kept.protected}

    @rule(group=groups, data=st.data(), protected=st.booleans())
    def protect(self, group: GroupName, data: st.DataObject, protected: bool) -> None:
        if self.model[group]:
            name = data.draw(st.sampled_from(sorted(self.model[group])))
            with self.refused_if(self.in_use(name)):
                self.store.set_protected(ROOT, name, protected)
            if not self.in_use(name):
                self.model[group][name].protected = protected

    @rule(group=groups, last=st.integers(1, 3))
    def prune(self, group: GroupName, last: int) -> None:
        run_prune_group(self.store, ROOT, group, Retention(last=last), Recorded(), zone=UTC)
        left = last
        for position, name in enumerate(sorted(self.model[group], reverse=True)):
            kept = self.model[group][name]
            stays = kept.protected or self.in_use(name)
            if kept.finished and not kept.protected:
                stays = stays or left > 0
                left -= 1
            if not (stays or (position == 0 and not kept.finished)):
                del self.model[group][name]

    # --- the whole store ---

    @rule(hours=st.sampled_from([1, 12, 23, 25, 72]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours * DAY / 24)

    @rule()
    def collect(self) -> None:
        task = Recorded()
        status = run_gc(self.store, task, clock=self.clock, upid=None, check_times=False)
        assert status.index_file_count == sum(kept.finished for kept in self.all_kept())
        missing = {digest for digest in self.named() if self.store.chunks.stored_bytes(digest) is None}
        assert missing <= self.damaged
        assert {line.split("chunk ")[1][:64] for line in task.warnings} == {digest.hex() for digest in missing}

    @rule()
    def collect_when_all_is_old(self) -> None:
        """Nobody writes, and days have passed: exactly what is named is left."""
        if not self.sessions:
            self.clock.advance(3 * DAY)
            self.collect()
            stored = {entry.digest for entry in self.store.chunks.entries() if entry.bad is None}
            assert stored | self.damaged >= self.named() >= stored
            self.damaged &= self.named()

    @rule()
    def verify(self) -> None:
        expected = {
            str(name)
            for group, snapshots in self.model.items()
            for name, kept in snapshots.items()
            if not self.is_written(name) and (not kept.finished or self.is_damaged(kept))
        }
        try:
            run_verify(self.store, targets_below(self.store, ROOT), Recorded(), upid=UPID, clock=self.clock, workers=1)
            failed: set[str] = set()
        except VerifyFailed as error:
            failed = set(error.failed)
        assert failed == expected
        for snapshots in self.model.values():
            for kept in snapshots.values():
                kept.failed = kept.finished and self.is_damaged(kept)

    @rule(piece=st.sampled_from(PIECES))
    def damage(self, piece: bytes) -> None:
        """A disk turns a bit."""
        digest = hashlib.sha256(piece).digest()
        path = self.where / "store" / ".chunks" / digest.hex()[:4] / digest.hex()
        if path.exists():
            raw = bytearray(path.read_bytes())
            raw[-1] ^= 1
            path.write_bytes(raw)
            self.store.chunks.touch(digest)
            if digest in self.damaged:
                self.damaged.discard(digest)  # the same bit twice
            else:
                self.damaged.add(digest)

    # --- what holds ---

    def all_kept(self) -> list[Kept]:
        return [kept for snapshots in self.model.values() for kept in snapshots.values()]

    def named(self) -> set[bytes]:
        return {hashlib.sha256(piece).digest() for kept in self.all_kept() if kept.finished for piece in kept.content}

    def is_written(self, name: SnapshotName) -> bool:
        return name.group in self.sessions and self.sessions[name.group].name == name

    def is_damaged(self, kept: Kept) -> bool:
        return any(hashlib.sha256(piece).digest() in self.damaged for piece in kept.content)

    @invariant()
    def lists_agree(self) -> None:
        for group, snapshots in self.model.items():
            found = {entry.name: (entry.finished, entry.protected) for entry in self.store.snapshots(ROOT, group)}
            assert found == {name: (kept.finished, kept.protected) for name, kept in snapshots.items()}
        assert set(self.store.groups(ROOT)) >= {group for group, snapshots in self.model.items() if snapshots}

    @invariant()
    def every_finished_snapshot_can_be_read(self) -> None:
        for snapshots in self.model.values():
            for name, kept in snapshots.items():
                if kept.finished:
                    self.read(name, kept)

    def read(self, name: SnapshotName, kept: Kept) -> None:
        index = self.store.open_index(ROOT, name, ARCHIVE)
        assert self.store.read_manifest(ROOT, name).files[0].csum == index.checksum().hex()
        digests = [index.digest(number) for number in range(index.count)]
        assert [DIGESTS[digest] for digest in digests] == kept.content
        for digest in digests:
            if digest in self.damaged:
                with pytest.raises((Corrupt, NotFound)):
                    blob.decode(self.store.chunks.load(digest))
            else:
                assert blob.decode(self.store.chunks.load(digest)) == DIGESTS[digest]


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30)
