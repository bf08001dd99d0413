"""The hold on `.lock`: one descriptor a process, whatever is opened, dropped or mounted read-only."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.backups import backup
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Unavailable
from platevault.formats.names import ROOT
from platevault.store.filesystem import process_lock

TRY = "import fcntl, sys\nfcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def held_here(where: Path) -> bool:
    """Whether another process finds `.lock` locked."""
    return subprocess.run([sys.executable, "-c", TRY, where / "store" / ".lock"], check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_an_old_lock_that_goes_late_does_not_take_the_new_one_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread drops the last store while another one opens it: the old descriptor may only be closed with the new one."""
    late: list[tuple[Any, ...]] = []
    real = process_lock._end
    monkeypatch.setattr(process_lock, "_end", lambda *arguments: late.append(arguments))
    sparse_store(tmp_path)
    [arguments] = late
    monkeypatch.setattr(process_lock, "_end", real)
    store = sparse_store(tmp_path)
    hold = store.hold_for_writing()
    process_lock._end(*arguments)
    assert held_here(tmp_path)
    hold.release()
    assert not held_here(tmp_path)
    del store, hold
    assert process_lock._LEFT == {}
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(arguments[1])


def test_a_hold_outlives_the_store(tmp_path: Path) -> None:
    hold = sparse_store(tmp_path).hold_for_writing()
    assert held_here(tmp_path)
    with sparse_store(tmp_path).hold_for_collection():
        hold.release()
        assert held_here(tmp_path)
    assert not held_here(tmp_path)


def test_collection_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks (NFS without its daemon) answers with something else than 'locked'."""
    store = sparse_store(tmp_path)

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.lockf", no_locks)
    for take in (store.hold_for_writing, store.hold_for_collection):
        with pytest.raises(Unavailable, match="No locks available"):
            take()


class TestReadOnly:
    """A datastore on a file system that is mounted read-only: backups can be read, nothing else."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SparseDatastore]:
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        backup(sparse_store(tmp_path))
        path = tmp_path / "store"
        if subprocess.run(["mount", "--bind", path, path], check=False).returncode != 0:
            pytest.skip("mounting is not permitted")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
            store = sparse_store(tmp_path)
            yield store
            store.close()
        finally:
            subprocess.run(["umount", "-l", path], check=True)

    def test_reading(self, store: SparseDatastore) -> None:
        [group] = store.groups(ROOT)
        [entry] = store.snapshots(ROOT, group)
        index = store.open_index(ROOT, entry.name, "root.pxar.didx")
        with store.lock_snapshot(ROOT, entry.name, shared=True):
            assert all(store.chunks.load(index.digest(number)) for number in range(index.count))

    def test_writing_is_refused_in_words(self, store: SparseDatastore) -> None:
        [group] = store.groups(ROOT)
        name = store.snapshots(ROOT, group)[0].name
        for act in (
            lambda: backup(store),
            lambda: store.remove_snapshot(ROOT, name),
            lambda: store.set_protected(ROOT, name, True),
            lambda: store.set_group_notes(ROOT, group, "x"),
            lambda: store.save_gc_status({}),
            lambda: store.hold_for_collection(),
        ):
            with pytest.raises(Exception) as caught:
                act()
            assert type(caught.value).__module__.startswith("platevault"), caught.value
        assert store.read_manifest(ROOT, name).files
