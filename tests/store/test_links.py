"""A symbolic link inside a datastore leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kit.backups import backup, snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import NotFound, PlatevaultError, Unavailable
from platevault.formats.names import ROOT, GroupName, Namespace

HOST = GroupName.parse("host/a")
SECRET = b"not part of the backup"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    other = tmp_path / "outside"
    other.mkdir()
    for name in ("secret", "owner", "notes", "a.conf.blob", "index.json.blob", "a.didx"):
        (other / name).write_bytes(SECRET)
    return other


@pytest.fixture
def store(tmp_path: Path) -> SparseDatastore:
    return sparse_store(tmp_path)


def test_files_of_a_snapshot(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    made = backup(store)
    inside = tmp_path / "store" / str(made.name)
    for name in ("a.conf.blob", "a.didx"):
        (inside / name).symlink_to(outside / name)
        with pytest.raises(Unavailable, match="not followed"):
            store.read_file(ROOT, made.name, name)
        store.write_blob(ROOT, made.name, "b.conf.blob", b"x")
    assert [file.name for file in store.files(ROOT, made.name)] == ["b.conf.blob", "index.json.blob", "root.pxar.didx"]
    with pytest.raises(Unavailable, match=r"a\.didx' is a symbolic link"):
        list(store.index_files())


def test_a_replaced_file_replaces_the_link(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    made = backup(store)
    (tmp_path / "store" / str(made.name) / "a.conf.blob").symlink_to(outside / "a.conf.blob")
    store.write_blob(ROOT, made.name, "a.conf.blob", b"new")
    assert store.read_file(ROOT, made.name, "a.conf.blob") == b"new"
    assert (outside / "a.conf.blob").read_bytes() == SECRET


@pytest.mark.parametrize("part", ["host", "host/a", "host/a/2023-11-14T22:13:20Z"])
def test_directories_on_the_way(store: SparseDatastore, tmp_path: Path, part: str) -> None:
    made = backup(store)
    path = tmp_path / "store" / part
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert not store.snapshot_exists(ROOT, made.name)
    acts: list[Callable[[], object]] = [
        lambda: list(store.index_files()),  # nothing may be collected as garbage that is needed behind the link
        lambda: store.read_manifest(ROOT, made.name),
        lambda: store.remove_snapshot(ROOT, made.name),
        lambda: store.set_protected(ROOT, made.name, True),
    ]
    for act in acts:
        with pytest.raises((NotFound, Unavailable)):
            act()
    if part.count("/") < 2:
        with pytest.raises(Unavailable, match="not followed"):
            store.snapshots(ROOT, HOST)
    else:
        assert store.snapshots(ROOT, HOST) == []
    assert len(list((tmp_path / "moved").rglob("index.json.blob"))) == 1


def test_links_elsewhere_are_nobodys_business(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    made = backup(store)
    for place in ("photos", "host/a/current", f"{made.name}/readme", "ns"):
        target = tmp_path / "store" / place
        if place == "ns":
            target.mkdir()
            target /= "-x"  # no name that a namespace can have
        target.symlink_to(outside)
    assert [file.path for file in store.index_files()] == [f"{made.name}/root.pxar.didx"]


def test_group_files(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    made = backup(store)
    group = tmp_path / "store" / "host" / "a"
    (group / "owner").unlink()
    (group / "owner").symlink_to(outside / "owner")
    (group / "notes").symlink_to(outside / "notes")
    with pytest.raises(PlatevaultError, match="not followed"):
        store.owner(ROOT, HOST)
    with pytest.raises(PlatevaultError, match="not followed"):
        store.group_notes(ROOT, HOST)
    store.remove_snapshot(ROOT, made.name)
    assert (outside / "owner").read_bytes() == SECRET


def test_namespaces(store: SparseDatastore, tmp_path: Path) -> None:
    ns = Namespace.parse("a")
    store.create_namespace(ns)
    (tmp_path / "store" / "ns" / "b").symlink_to(tmp_path / "store" / "ns" / "a")
    assert list(store.namespaces(ROOT)) == [ROOT, ns]
    assert not store.namespace_exists(Namespace.parse("b"))


def test_removal_does_not_leave_the_snapshot(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    made = backup(store, snapshot())
    inside = tmp_path / "store" / str(made.name)
    (inside / "link").symlink_to(outside)
    (inside / "directory").mkdir()
    (inside / "directory" / "link").symlink_to(outside)
    store.remove_snapshot(ROOT, made.name)
    assert (outside / "secret").read_bytes() == SECRET
    assert not inside.exists()


def test_chunks(store: SparseDatastore, tmp_path: Path, outside: Path) -> None:
    digest = bytes(32)
    folder = tmp_path / "store" / ".chunks" / "0000"
    folder.mkdir()
    (folder / digest.hex()).symlink_to(outside / "secret")
    with pytest.raises(Unavailable, match="not followed"):
        store.chunks.load(digest)
    with pytest.raises(PlatevaultError, match="not a regular file"):
        store.chunks.insert(digest, bytes(100))
    assert store.chunks.touch(digest) is False
    assert (outside / "secret").read_bytes() == SECRET
