"""Removal takes what it should, in an order in which nothing half removed looks whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from kit.backups import DAY, NOON, backup, snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Unavailable
from platevault.formats.names import MANIFEST_NAME, ROOT, GroupName

HOST = GroupName.parse("host/a")


@pytest.fixture
def store(tmp_path: Path) -> SparseDatastore:
    return sparse_store(tmp_path)


def refusing(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """From now on the system never removes a file of this name."""
    real = os.unlink

    def unlink(path: Any, **options: Any) -> None:
        if path == refused:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)


def test_a_manifest_that_cannot_be_removed_keeps_the_snapshot_whole(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = backup(store)
    refusing(monkeypatch, MANIFEST_NAME)
    with pytest.raises(Unavailable, match="not permitted"):
        store.remove_snapshot(ROOT, made.name)
    assert [file.name for file in store.files(ROOT, made.name)] == [MANIFEST_NAME, "root.pxar.didx"]
    monkeypatch.undo()
    store.remove_snapshot(ROOT, made.name)


def test_a_file_that_cannot_be_removed_leaves_an_unfinished_snapshot(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = backup(store)
    refusing(monkeypatch, "root.pxar.didx")
    with pytest.raises(Unavailable):
        store.remove_snapshot(ROOT, made.name)
    assert [entry.finished for entry in store.snapshots(ROOT, HOST)] == [False]
    monkeypatch.undo()
    store.remove_snapshot(ROOT, made.name)
    assert not store.group_exists(ROOT, HOST)


def test_protection_is_what_goes_last(store: SparseDatastore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = backup(store)
    store.set_protected(ROOT, made.name, True)
    (tmp_path / "store" / str(made.name) / "!first by name").touch()
    order = []
    real = os.unlink

    def unlink(path: Any, **options: Any) -> None:
        order.append(str(path))
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    store.remove_snapshot(ROOT, made.name, force=True)
    inside = [name for name in order if "/" not in name and name not in ("owner", "notes")]
    assert (inside[0], inside[-1]) == (MANIFEST_NAME, ".protected")
    assert set(inside) == {MANIFEST_NAME, ".protected", "!first by name", "root.pxar.didx"}


def test_left_over_temp_files_do_not_keep_a_group(store: SparseDatastore, tmp_path: Path) -> None:
    made = backup(store)
    store.set_group_notes(ROOT, HOST, "notes")
    for name in ("owner.tmp_aB3dEf", "notes.tmp_aB3dEf"):
        (tmp_path / "store" / "host" / "a" / name).touch()
    store.remove_snapshot(ROOT, made.name)
    assert not store.group_exists(ROOT, HOST)


def test_foreign_files_keep_a_group_and_its_owner(store: SparseDatastore, tmp_path: Path) -> None:
    made = backup(store)
    (tmp_path / "store" / "host" / "a" / "owner.txt").touch()
    store.remove_snapshot(ROOT, made.name)
    assert store.owner(ROOT, HOST) == "root@pam"
    assert store.remove_group(ROOT, HOST).groups == 0


def test_names_that_only_look_like_times_are_no_snapshots(store: SparseDatastore, tmp_path: Path) -> None:
    made = backup(store)
    for name in ("2024-01-01T00:00:00Z\n", "٢٠٢٤-01-01T00:00:00Z", "2024-99-01T00:00:00Z", "2024-01-01T00:00:60Z", "1969-01-01T00:00:00Z"):
        (tmp_path / "store" / "host" / "a" / name).mkdir()
    (tmp_path / "store" / "host" / "a" / "2024-01-01T00:00:00Z").touch()
    assert [entry.name for entry in store.snapshots(ROOT, HOST)] == [made.name]


def test_a_failed_removal_of_a_group_says_so_and_can_be_repeated(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [backup(store, snapshot(time=NOON + day * DAY)).name for day in range(2)]
    with store.lock_snapshot(ROOT, names[0], shared=True), pytest.raises(Exception, match="locked"):
        store.remove_group(ROOT, HOST)
    assert [entry.name for entry in store.snapshots(ROOT, HOST)] == [names[0]]
    removed = store.remove_group(ROOT, HOST)
    assert (removed.groups, removed.snapshots) == (1, 1)
