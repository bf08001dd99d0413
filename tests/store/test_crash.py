"""Every change of the disk fails once, or is the last thing that the process did: what is left is always a store that holds.

Must hold after each failure, with the store opened again: no snapshot looks finished unless all its chunks are there and right, nothing
is left under a final name that is not complete, and the same work succeeds when it is done again.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot
from kit.faults import Died, Faults
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import PlatevaultError
from platevault.formats import blob
from platevault.formats.names import ROOT, GroupName, Namespace
from platevault.store.datastore import Datastore
from platevault.store.filesystem.options import SyncLevel

HOST = GroupName.parse("host/a")
FIRST, SECOND = snapshot(), snapshot(time=NOON + DAY)
Scenario = Callable[[Datastore], None]


def new_backup(store: Datastore) -> None:
    backup(store, SECOND, chunks=[*pieces("shared"), *pieces("new")])


def streamed_chunk(store: Datastore) -> None:
    raw = blob.encode(b"x" * 1000, compress=False)
    writer = store.chunks.begin(hashlib.sha256(b"x" * 1000).digest(), encoded_bytes=len(raw), header_bytes=12)
    try:
        writer.write(raw[12:])
        writer.commit(raw[:12])
    finally:
        writer.discard()


def removal(store: Datastore) -> None:
    if store.snapshot_exists(ROOT, FIRST):
        store.remove_snapshot(ROOT, FIRST)


def removal_of_the_group(store: Datastore) -> None:
    if store.group_exists(ROOT, HOST):
        store.remove_group(ROOT, HOST)


def changes(store: Datastore) -> None:
    store.set_group_notes(ROOT, HOST, "notes")
    store.set_owner(ROOT, HOST, "bob@pbs")
    store.update_manifest(ROOT, FIRST, lambda old: old.with_unprotected(notes="n"))
    store.set_protected(ROOT, FIRST, True)
    store.set_protected(ROOT, FIRST, False)
    if not store.namespace_exists(Namespace.parse("a/b")):
        store.create_namespace(Namespace.parse("a/b"))


@pytest.fixture(autouse=True)
def quick_collection() -> Iterator[None]:
    """What is older than the test need not be looked at by each `gc.collect`."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("dies", [False, True], ids=["fails", "dies"])
@pytest.mark.parametrize("scenario", [new_backup, streamed_chunk, removal, removal_of_the_group, changes])
@pytest.mark.parametrize("level", [SyncLevel.FILESYSTEM, SyncLevel.FILE])
def test_every_step_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, level: SyncLevel, dies: bool) -> None:
    faults = Faults(monkeypatch)
    for step in range(1, 500):
        where = tmp_path / str(step)
        prepared = sparse_store(where, sync_level=level)
        backup(prepared, FIRST, chunks=pieces("shared"))
        faults.arm(step, dies=dies)
        failed = attempt(prepared, scenario)
        through = not faults.spent
        faults.arm(0, dies=False)
        if dies:
            gc.collect()  # a dead process holds no locks: let go of what the aborted frames held
        check_after(where, scenario, level, clean=not dies)
        if through:
            assert not failed
            assert step > 3
            return
    pytest.fail("the scenario never got through")


def attempt(store: SparseDatastore, scenario: Scenario) -> bool:
    try:
        scenario(store)
    except (PlatevaultError, Died):
        return True
    return False


def check_after(where: Path, scenario: Scenario, level: SyncLevel, *, clean: bool) -> None:
    store = sparse_store(where, sync_level=level)
    check_holds(store)
    if clean:  # whoever only got an error has tidied up behind itself
        assert [path for path in where.rglob("*.tmp_*") if "chunks" in str(path)] == []
    for entry in store.snapshots(ROOT, HOST):
        if not entry.finished:
            store.remove_snapshot(ROOT, entry.name)
    if scenario is changes:
        assert [entry.name for entry in store.snapshots(ROOT, HOST)] == [FIRST]
        assert store.owner(ROOT, HOST) in ("root@pam", "bob@pbs")
    if scenario is new_backup and store.snapshot_exists(ROOT, SECOND):
        store.remove_snapshot(ROOT, SECOND)
    scenario(store)
    check_holds(store)


def check_holds(store: Datastore) -> None:
    for entry in store.snapshots(ROOT, HOST):
        if entry.finished:
            for file in store.read_manifest(ROOT, entry.name).files:
                index = store.open_index(ROOT, entry.name, file.filename)
                assert index.checksum().hex() == file.csum
                for number in range(index.count):
                    assert hashlib.sha256(blob.decode(store.chunks.load(index.digest(number)))).digest() == index.digest(number)
    for chunk in store.chunks.entries():
        assert hashlib.sha256(blob.decode(store.chunks.load(chunk.digest))).digest() == chunk.digest
