"""The power fails after each single change of the disk: what is left is a store whose finished snapshots are complete.

What was reported done is there, and when the work is done again, nothing that the cut has torn is taken for good. The levels `filesystem`
and `file` promise that; `none` promises nothing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot
from kit.power_cut import Disk, Keeps, Torn
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Conflict
from platevault.formats import blob
from platevault.formats.names import ROOT, GroupName, Namespace
from platevault.store.datastore import Datastore
from platevault.store.filesystem import process_lock
from platevault.store.filesystem.options import SyncLevel

HOST = GroupName.parse("host/a")
FIRST, SECOND, THIRD = (snapshot(time=NOON + day * DAY) for day in range(3))
CONTENT = [*pieces("shared"), *pieces("new")]
CUTS = [(keeps, torn) for keeps in Keeps for torn in Torn]


class Machine:
    """A store on a machine whose power may fail, and looks at what would be left of it then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Path, level: SyncLevel) -> None:
        self._where, self._level = where, level
        self._numbers = itertools.count()
        self._monkeypatch = monkeypatch
        self._start()
        self.store = sparse_store(where, sync_level=level)
        for chunk in CONTENT:  # a real store has all its chunk directories from the beginning
            (where / "store" / ".chunks" / hashlib.sha256(chunk).hexdigest()[:4]).mkdir(exist_ok=True)
        backup(self.store, FIRST, chunks=pieces("shared"))
        self.disk = Disk(monkeypatch, where / "store")

    def _start(self) -> int:
        number = next(self._numbers)
        self._monkeypatch.setattr(process_lock, "boot_id", lambda: f"boot {number}")
        return number

    def after_cut(self, keeps: Keeps, torn: Torn) -> SparseDatastore:
        """The store as it is found when the power is back."""
        where = self._where / f"cut{self._start()}"
        self.disk.leave(keeps, torn, where / "store")
        return sparse_store(where, sync_level=self._level)

    def at_each_change(self, look: Callable[[SparseDatastore], None]) -> None:
        """From now on, look at what is left after each change."""

        def changed() -> None:
            self.disk.changed = lambda: None  # what the looking changes is another disk
            for keeps, torn in CUTS:
                look(self.after_cut(keeps, torn))
            self.disk.changed = changed

        self.disk.changed = changed


@pytest.fixture(params=[SyncLevel.FILESYSTEM, SyncLevel.FILE])
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Machine:
    return Machine(monkeypatch, tmp_path, request.param)


def finished(store: Datastore) -> list[int]:
    return [entry.name.time for entry in store.snapshots(ROOT, HOST) if entry.finished]


def check_holds(store: Datastore) -> None:
    """Every snapshot that looks finished is complete."""
    for entry in store.snapshots(ROOT, HOST):
        for file in store.read_manifest(ROOT, entry.name).files if entry.finished else ():
            index = store.open_index(ROOT, entry.name, file.filename)
            assert index.checksum().hex() == file.csum
            for number in range(index.count):
                assert hashlib.sha256(blob.decode(store.chunks.load(index.digest(number)))).digest() == index.digest(number)


def test_a_backup(machine: Machine) -> None:
    machine.at_each_change(check_holds)
    backup(machine.store, SECOND, chunks=CONTENT)
    for keeps, torn in CUTS:
        left = machine.after_cut(keeps, torn)
        assert finished(left) == [SECOND.time, FIRST.time]
        check_holds(left)


def test_the_backup_after_a_cut_takes_nothing_torn_for_good(machine: Machine) -> None:
    def again(left: SparseDatastore) -> None:
        backup(left, THIRD, chunks=CONTENT)
        assert finished(left)[0] == THIRD.time
        check_holds(left)

    machine.at_each_change(again)
    backup(machine.store, SECOND, chunks=CONTENT)


@pytest.mark.parametrize("act", [lambda store: store.remove_snapshot(ROOT, FIRST), lambda store: store.remove_group(ROOT, HOST)])
def test_a_removal(machine: Machine, act: Callable[[Datastore], object]) -> None:
    backup(machine.store, SECOND, chunks=CONTENT)
    machine.at_each_change(check_holds)
    act(machine.store)
    check_holds(machine.after_cut(Keeps.NAMES_FIRST, Torn.EMPTY))


def test_what_was_set_is_there(machine: Machine) -> None:
    machine.at_each_change(check_holds)
    machine.store.create_namespace(Namespace.parse("a/b"))
    machine.store.set_group_notes(ROOT, HOST, "notes")
    machine.store.set_owner(ROOT, HOST, "bob@pbs")
    machine.store.update_manifest(ROOT, FIRST, lambda old: old.with_unprotected(notes="n"))
    machine.store.set_protected(ROOT, FIRST, True)
    for keeps, torn in CUTS:
        left = machine.after_cut(keeps, torn)
        assert left.namespace_exists(Namespace.parse("a/b"))
        assert (left.owner(ROOT, HOST), left.group_notes(ROOT, HOST)) == ("bob@pbs", "notes")
        assert left.read_manifest(ROOT, FIRST).unprotected["notes"] == "n"
        with pytest.raises(Conflict, match="protected"):
            left.remove_snapshot(ROOT, FIRST)
