"""Lists of snapshots and groups: each change shows at once, although what did not change is not read again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, snapshot, write_manifest
from kit.stores import SparseDatastore, sparse_store
from platevault.clock import ManualClock
from platevault.errors import Unavailable
from platevault.formats.names import MANIFEST_NAME, ROOT, BackupType, GroupName, Namespace
from platevault.services.snapshots import SnapshotInfo, list_group_snapshots, list_groups, list_snapshots
from platevault.store.filesystem.snapshots import SETTLED_S

HOST = GroupName.parse("host/a")
UPID = "UPID:node:0000A1B2:01C3D4E5:0000002A:68A1B2C3:verify:store:root@pam:"


class Watched:
    """A store that counts how often a manifest is read; `settle` makes all that was written an old thing."""

    def __init__(self, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(os.stat(where).st_mtime)
        self.store: SparseDatastore = sparse_store(where, clock=self.clock)
        self.reads = 0
        real = self.store.read_manifest

        def read(*arguments: object) -> object:
            self.reads += 1
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(self.store, "read_manifest", read)

    def settle(self) -> None:
        self.clock.advance(SETTLED_S + 60)

    def list(self) -> list[SnapshotInfo]:
        return list_group_snapshots(self.store, ROOT, HOST)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path, monkeypatch)


def test_an_entry(watched: Watched) -> None:
    made = backup(watched.store, owner="alice@pbs!t")
    [info] = watched.list()
    assert (info.ns, info.name, info.owner, info.finished, info.protected) == (ROOT, made.name, "alice@pbs!t", True, False)
    assert [(file.filename, file.crypt_mode) for file in info.files] == [("root.pxar.didx", "none"), (MANIFEST_NAME, "none")]
    assert info.size == sum(file.size or 0 for file in info.files) > 1500
    assert (info.comment, info.fingerprint, info.verification) == (None, None, None)


def test_what_did_not_change_is_read_once(watched: Watched) -> None:
    for day in range(5):
        backup(watched.store, snapshot(time=NOON + day * DAY))
    watched.settle()
    first = watched.list()
    assert watched.reads == 5
    assert watched.list() == first
    assert watched.reads == 5
    backup(watched.store, snapshot(time=NOON + 9 * DAY))
    assert len(watched.list()) == 6
    assert watched.reads == 6


def test_what_has_just_changed_is_read_each_time(watched: Watched) -> None:
    """A second change within the resolution of the file system's clock would not show."""
    backup(watched.store)
    watched.list()
    watched.list()
    assert watched.reads == 2


CHANGES: dict[str, tuple[Callable[[Watched], object], Callable[[SnapshotInfo], bool]]] = {
    "notes": (
        lambda watched: watched.store.update_manifest(ROOT, snapshot(), lambda old: old.with_unprotected(notes="first line\nsecond")),
        lambda info: info.comment == "first line",
    ),
    "verification": (
        lambda watched: watched.store.update_manifest(
            ROOT, snapshot(), lambda old: old.with_unprotected(verify_state={"state": "ok", "upid": UPID})
        ),
        lambda info: info.verification is not None and info.verification.state == "ok",
    ),
    "protection": (lambda watched: watched.store.set_protected(ROOT, snapshot(), True), lambda info: info.protected),
    "owner": (lambda watched: watched.store.set_owner(ROOT, HOST, "bob@pbs"), lambda info: info.owner == "bob@pbs"),
    "log": (
        lambda watched: watched.store.write_blob(ROOT, snapshot(), "client.log.blob", b"x"),
        lambda info: info.files[-1].filename == "client.log.blob",
    ),
    "manifest": (lambda watched: write_manifest(watched.store, ROOT, snapshot(), []), lambda info: info.files[0].filename == MANIFEST_NAME),
}


@pytest.mark.parametrize(("change", "shows"), CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("settled", [True, False])
def test_each_change_shows_at_once(
    watched: Watched, change: Callable[[Watched], object], shows: Callable[[SnapshotInfo], bool], settled: bool
) -> None:
    backup(watched.store)
    if settled:
        watched.settle()
    [before] = watched.list()
    assert not shows(before)
    change(watched)
    [after] = watched.list()
    assert shows(after)


def test_removed_and_backed_up_again_under_the_same_time(watched: Watched) -> None:
    backup(watched.store, archive="old.pxar.didx")
    watched.settle()
    watched.list()
    watched.store.remove_snapshot(ROOT, snapshot())
    assert watched.list() == []
    backup(watched.store, archive="new.pxar.didx")
    [info] = watched.list()
    assert info.files[0].filename == "new.pxar.didx"


def test_a_corrupt_manifest_shows_up_without_sizes(watched: Watched, tmp_path: Path) -> None:
    backup(watched.store)
    (tmp_path / "store" / str(snapshot()) / MANIFEST_NAME).write_bytes(b"nothing of the kind")
    watched.settle()
    [info] = watched.list()
    assert (info.finished, info.size, [file.filename for file in info.files]) == (True, None, [MANIFEST_NAME, "root.pxar.didx"])


def test_what_cannot_be_read_now_is_asked_for_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(watched.store)
    watched.settle()

    def slow(*_: object) -> None:
        raise Unavailable("the disk does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(watched.store, "read_manifest", slow)
        [info] = watched.list()
        assert info.size is None
    [info] = watched.list()
    assert info.size is not None


def test_one_that_vanishes_meanwhile_is_left_out(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [backup(watched.store, snapshot(time=NOON + day)).name for day in range(2)]
    real = watched.store.files

    def files(ns: Namespace, name: object) -> object:
        if watched.store.snapshot_exists(ROOT, names[0]):
            watched.store.remove_snapshot(ROOT, names[0])
        return real(ns, name)  # type: ignore[arg-type]

    monkeypatch.setattr(watched.store, "files", files)
    assert [info.name for info in watched.list()] == [names[1]]


def test_a_group_without_owner(watched: Watched, tmp_path: Path) -> None:
    backup(watched.store)
    (tmp_path / "store" / "host" / "a" / "owner").unlink()
    assert watched.list()[0].owner is None
    assert list_groups(watched.store, ROOT)[0].owner is None


def test_unfinished_ones(watched: Watched) -> None:
    backup(watched.store, finish=False)
    [info] = watched.list()
    assert (info.finished, info.size, [file.filename for file in info.files]) == (False, None, ["root.pxar.didx"])


@pytest.mark.parametrize("state", [7, "ok", {"state": "ok"}, {"state": 1, "upid": 2}])
def test_foreign_values_in_a_manifest(watched: Watched, state: object) -> None:
    backup(watched.store)
    change = {"verify_state": state, "notes": 5, "key-fingerprint": []}
    watched.store.update_manifest(ROOT, snapshot(), lambda old: old.with_unprotected_items(change))
    [info] = watched.list()
    assert (info.verification, info.comment, info.fingerprint) == (None, None, None)


def test_selections(watched: Watched) -> None:
    for text in ("vm/1", "vm/2", "host/1"):
        backup(watched.store, snapshot(text))

    def names(kind: BackupType | None = None, name: str | None = None) -> list[str]:
        return [str(info.name.group) for info in list_snapshots(watched.store, ROOT, kind, name)]

    assert names() == ["host/1", "vm/1", "vm/2"]
    assert names(BackupType.VM) == ["vm/1", "vm/2"]
    assert names(name="1") == ["host/1", "vm/1"]
    assert names(BackupType.VM, "1") == ["vm/1"]
    assert list_snapshots(watched.store, Namespace.parse("nowhere")) == []


class TestGroups:
    """One line a group."""

    def test_the_newest_finished_snapshot_speaks(self, watched: Watched) -> None:
        for day, finish in ((0, True), (1, True), (2, False)):
            backup(watched.store, snapshot(time=NOON + day), archive=f"a{day}.pxar.didx", finish=finish)
        [group] = list_groups(watched.store, ROOT)
        assert (group.name, group.backup_count, group.last_backup, group.owner) == (HOST, 3, NOON + 1, "root@pam")
        assert set(group.files) == {"a1.pxar.didx", MANIFEST_NAME}

    def test_without_one_the_time_of_the_newest(self, watched: Watched) -> None:
        for day in (0, 1):
            backup(watched.store, snapshot(time=NOON + day), finish=False)
        [group] = list_groups(watched.store, ROOT)
        assert (group.last_backup, group.files) == (NOON + 1, ())

    def test_an_empty_one(self, watched: Watched) -> None:
        watched.store.create_group(ROOT, HOST, "a@pbs")
        [group] = list_groups(watched.store, ROOT)
        assert (group.backup_count, group.last_backup, group.files) == (0, 0, ())

    @pytest.mark.parametrize(("notes", "comment"), [(None, None), ("", ""), ("one", "one"), ("one\ntwo", "one\n"), ("\ntwo", "\n")])
    def test_comments(self, watched: Watched, notes: str | None, comment: str | None) -> None:
        backup(watched.store)
        if notes is not None:
            watched.store.set_group_notes(ROOT, HOST, notes)
        assert list_groups(watched.store, ROOT)[0].comment == comment
