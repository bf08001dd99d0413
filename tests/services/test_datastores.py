"""Datastores by name: opened, refused, counted, made, attached and removed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.backups import backup
from kit.stores import sparse_store
from platevault.clock import ManualClock
from platevault.config.database import Database, open_database
from platevault.config.datastores import DatastoreConfig, DatastoreConfigs
from platevault.config.sections import EntryExists, NoSuchEntry, StaleDigest
from platevault.errors import Conflict, Invalid, PlatevaultError, Unavailable
from platevault.formats.names import ROOT
from platevault.services.datastores import Datastores, InMaintenance, Operations, Purpose
from platevault.services.gc import TimesNotKept
from platevault.store.filesystem import layout
from platevault.store.filesystem.datastore import FilesystemDatastore
from platevault.store.filesystem.options import SyncLevel


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield database
    database.close()


@pytest.fixture
def stores(tmp_path: Path, database: Database) -> Iterator[Datastores]:
    stores = Datastores(DatastoreConfigs(database), locks_dir=tmp_path / "locks", clock=ManualClock())
    yield stores
    stores.close()


def add(stores: Datastores, where: Path, name: str = "store", **settings: str) -> DatastoreConfig:
    """A configured datastore that exists."""
    sparse_store(where, name=name)
    config = DatastoreConfig(name, str(where / name), **settings)  # type: ignore[arg-type]
    stores.configs.insert(config)
    return config


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made datastores get three chunk directories, among them that of the chunk of zeros."""

    def make_chunk_dirs(base: int) -> None:
        for name in (".chunks", ".chunks/0000", ".chunks/ffff", ".chunks/bb9f"):
            os.mkdir(name, 0o750, dir_fd=base)

    monkeypatch.setattr(layout, "_make_chunk_dirs", make_chunk_dirs)


class TestOpening:
    """One object a datastore, as long as its settings stay."""

    def test_once(self, stores: Datastores, tmp_path: Path) -> None:
        add(stores, tmp_path)
        assert stores.get("store", "read") is stores.get("store", "write")

    def test_an_unknown_one(self, stores: Datastores) -> None:
        with pytest.raises(NoSuchEntry, match="no such datastore 'x'"):
            stores.get("x", "any")

    def test_one_whose_directory_is_gone_until_it_is_back(self, stores: Datastores, tmp_path: Path) -> None:
        """A disk that was not mounted."""
        add(stores, tmp_path)
        (tmp_path / "store").rename(tmp_path / "away")
        for _ in range(2):
            with pytest.raises(layout.NoDatastore, match="does not exist"):
                stores.get("store", "read")
        (tmp_path / "away").rename(tmp_path / "store")
        assert stores.get("store", "read").name == "store"

    def test_anew_when_settings_change(self, stores: Datastores, tmp_path: Path) -> None:
        config = add(stores, tmp_path)
        first = stores.get("store", "read")
        stores.configs.update(replace(config, comment="x"))
        assert stores.get("store", "read") is first
        stores.configs.update(replace(config, tuning="sync-level=file"))
        second = stores.get("store", "read")
        assert second is not first
        assert (first._sync_level, second._sync_level) == (SyncLevel.FILESYSTEM, SyncLevel.FILE)
        assert list(first.index_files()) == []  # a session that has it may go on

    def test_the_old_one_lets_go_with_its_last_user(self, stores: Datastores, tmp_path: Path) -> None:
        config = add(stores, tmp_path)
        stores.get("store", "read")
        before = len(os.listdir("/proc/self/fd"))
        for level in ("file", "none", "filesystem") * 3:
            stores.configs.update(replace(config, tuning=f"sync-level={level}"))
            stores.get("store", "read")
        assert len(os.listdir("/proc/self/fd")) == before

    def test_a_disk_that_hangs_stops_nobody_else(self, stores: Datastores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        add(stores, tmp_path, "slow")
        add(stores, tmp_path, "quick")
        opening, go_on = threading.Event(), threading.Event()
        real = layout.open_base

        def open_base(path: Path) -> tuple[int, int]:
            if path.name == "slow":
                opening.set()
                assert go_on.wait(30)
            return real(path)

        monkeypatch.setattr(layout, "open_base", open_base)
        found: list[FilesystemDatastore] = []
        threads = [threading.Thread(target=lambda: found.append(stores.get("slow", "read"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert opening.wait(30)
        assert stores.get("quick", "read").name == "quick"
        go_on.set()
        for thread in threads:
            thread.join(30)
        assert found[0] is found[1]


class TestMaintenance:
    """What the modes forbid, in the words that programs look for."""

    @pytest.mark.parametrize(
        ("mode", "allowed", "text"),
        [
            ("read-only,message=disk swap", {"read", "any"}, "read-only maintenance mode: disk swap"),
            ("read-only", {"read", "any"}, "read-only maintenance mode: "),
            ("offline,message=moving", {"any"}, "offline maintenance mode: moving"),
            ("delete", {"any"}, "datastore is being deleted"),
            ("unmount", {"any"}, "datastore is being unmounted"),
            ("s3-refresh", {"any"}, "datastore contents are being refreshed"),
        ],
    )
    def test_modes(self, stores: Datastores, tmp_path: Path, mode: str, allowed: set[str], text: str) -> None:
        add(stores, tmp_path, maintenance_mode=mode)
        purposes: list[Purpose] = ["read", "write", "any"]
        for purpose in purposes:
            if purpose in allowed:
                assert stores.get("store", purpose).name == "store"
                continue
            with pytest.raises(InMaintenance) as caught:
                stores.get("store", purpose)
            assert str(caught.value).startswith(f"datastore 'store' is unavailable: {text}")

    def test_what_runs_goes_on(self, stores: Datastores, tmp_path: Path) -> None:
        config = add(stores, tmp_path)
        with stores.operation("store", "write") as store:
            stores.configs.update(replace(config, maintenance_mode="offline"))
            assert list(store.index_files()) == []
            with pytest.raises(InMaintenance), stores.operation("store", "read"):
                pass
            assert stores.active("store") == Operations(read=0, write=1)
        stores.configs.update(config)
        with stores.operation("store", "read"):
            pass


class TestCounters:
    """Operations that run."""

    def test_they_count(self, stores: Datastores, tmp_path: Path) -> None:
        add(stores, tmp_path)
        assert stores.active("store") == Operations()
        with stores.operation("store", "read"), stores.operation("store", "read"), stores.operation("store", "write"):
            assert stores.active("store") == Operations(read=2, write=1)
        assert stores.active("store") == Operations()

    def test_also_when_they_fail(self, stores: Datastores, tmp_path: Path) -> None:
        add(stores, tmp_path)
        with pytest.raises(Unavailable), stores.operation("store", "write"):
            raise Unavailable("disk full")
        assert stores.active("store") == Operations()


@pytest.mark.usefixtures("quick")
class TestCreation:
    """New directories and old ones."""

    def test_a_new_one(self, stores: Datastores, tmp_path: Path) -> None:
        stores.create(DatastoreConfig("store", str(tmp_path / "new" / "store")))
        store = stores.get("store", "write")
        assert (tmp_path / "new" / "store" / ".lock").exists()
        assert list(store.index_files()) == []

    def test_one_that_is_attached_stays_as_it_is(self, stores: Datastores, tmp_path: Path) -> None:
        made = backup(sparse_store(tmp_path, name="old"))
        stores.create(DatastoreConfig("store", str(tmp_path / "old")), reuse=True)
        assert stores.get("store", "read").read_manifest(made.ns, made.name).files

    @pytest.mark.parametrize(
        ("prepare", "reuse", "error"),
        [
            (lambda path: None, True, Invalid),
            (lambda path: path.mkdir(), True, Invalid),
            (lambda path: sparse_store(path.parent, name=path.name), False, Conflict),
            (lambda path: (path.mkdir(), (path / "letters.txt").touch()), False, Conflict),
            (lambda path: path.touch(), False, PlatevaultError),
            (lambda path: path.touch(), True, PlatevaultError),
        ],
        ids=["nothing", "empty", "there already", "other content", "a file", "a file to attach"],
    )
    def test_directories_that_do_not_fit(
        self, stores: Datastores, tmp_path: Path, prepare: Callable[[Path], object], reuse: bool, error: type[Exception]
    ) -> None:
        path = tmp_path / "store"
        prepare(path)
        before = sorted(tmp_path.rglob("*.txt"))
        with pytest.raises(error):
            stores.create(DatastoreConfig("store", str(path)), reuse=reuse)
        assert stores.configs.all() == []
        assert sorted(tmp_path.rglob("*.txt")) == before

    def test_a_name_that_is_taken_makes_no_directory(self, stores: Datastores, tmp_path: Path) -> None:
        add(stores, tmp_path)
        with pytest.raises(EntryExists, match="datastore 'store' already exists"):
            stores.create(DatastoreConfig("store", str(tmp_path / "other")))
        assert not (tmp_path / "other").exists()

    def test_a_file_system_that_keeps_no_times(self, stores: Datastores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FilesystemDatastore.chunks_class, "touch", lambda chunks, digest: True)
        with pytest.raises(TimesNotKept):
            stores.create(DatastoreConfig("store", str(tmp_path / "store")))
        assert stores.configs.all() == []
        assert not (tmp_path / "store").exists()


class TestOverlap:
    """No datastore lies in another one, however it is written."""

    @pytest.mark.parametrize("path", ["store", "store/inside", ".", "", "other/../store", "link", "link/inside", "store/", "./store"])
    def test_refused(self, stores: Datastores, tmp_path: Path, path: str) -> None:
        add(stores, tmp_path)
        (tmp_path / "link").symlink_to(tmp_path / "store")
        (tmp_path / "other").mkdir()
        with pytest.raises(Invalid, match="overlaps with datastore 'store'"):
            stores.check_new(DatastoreConfig("new", f"{tmp_path}/{path}"))

    @pytest.mark.parametrize("path", ["store2", "stor", "other/store", "elsewhere"])
    def test_allowed(self, stores: Datastores, tmp_path: Path, path: str) -> None:
        add(stores, tmp_path)
        (tmp_path / "other").mkdir()
        stores.check_new(DatastoreConfig("new", f"{tmp_path}/{path}"))

    def test_the_same_directory_at_another_place(self, stores: Datastores, tmp_path: Path) -> None:
        add(stores, tmp_path)
        (tmp_path / "bound").mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "--bind", tmp_path / "store", tmp_path / "bound"], check=False).returncode:
            pytest.skip("mounting needs root")
        try:
            with pytest.raises(Invalid, match="overlaps"):
                stores.check_new(DatastoreConfig("new", str(tmp_path / "bound")))
        finally:
            subprocess.run(["umount", tmp_path / "bound"], check=True)

    @pytest.mark.parametrize("path", ["relative", "./x", ""])
    def test_relative_paths(self, stores: Datastores, path: str) -> None:
        with pytest.raises(Invalid, match="not absolute"):
            stores.check_new(DatastoreConfig("new", path))

    def test_one_whose_directory_is_away(self, stores: Datastores, tmp_path: Path) -> None:
        stores.configs.insert(DatastoreConfig("away", str(tmp_path / "away")))
        stores.check_new(DatastoreConfig("new", str(tmp_path / "new")))
        with pytest.raises(Invalid, match="overlaps"):
            stores.check_new(DatastoreConfig("new", str(tmp_path / "away" / "inside")))


WRITER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.readline()
"""


class TestRemoval:
    """Forgotten or destroyed, never while something runs."""

    @pytest.fixture
    def config(self, stores: Datastores, tmp_path: Path) -> DatastoreConfig:
        config = add(stores, tmp_path)
        backup(sparse_store(tmp_path))
        return config

    def test_forgetting_keeps_the_directory(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        stores.remove("store")
        with pytest.raises(NoSuchEntry):
            stores.get("store", "any")
        stores.create(config, reuse=True)
        assert stores.get("store", "read").groups(ROOT)

    def test_destroying(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        store = stores.get("store", "read")
        stores.remove("store", destroy=True)
        assert not (tmp_path / "store").exists()
        with pytest.raises(PlatevaultError):
            store.chunks.load(bytes(32))

    @pytest.mark.parametrize("destroy", [False, True])
    @pytest.mark.parametrize("purpose", ["read", "write"])
    def test_not_while_something_runs(self, stores: Datastores, config: DatastoreConfig, destroy: bool, purpose: str) -> None:
        with stores.operation("store", purpose), pytest.raises(Conflict, match="in use by 1 operations"):  # type: ignore[arg-type]
            stores.remove("store", destroy=destroy)
        assert stores.configs.get("store") == config
        assert stores.get("store", "write").groups(ROOT)
        stores.remove("store", destroy=destroy)

    def test_not_while_another_process_writes(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        """The command line removes a datastore that a server is serving."""
        command = [sys.executable, "-c", WRITER, str(tmp_path / "store" / ".lock")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(Conflict, match="another process"):
                stores.remove("store", destroy=True)
            assert stores.configs.get("store") == config
            other.communicate("\n")
        stores.remove("store", destroy=True)

    def test_nothing_begins_while_it_is_looked_whether_something_runs(
        self, stores: Datastores, config: DatastoreConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = stores.active

        def active(name: str) -> Operations:
            found = real(name)
            with pytest.raises(InMaintenance, match="being deleted"), stores.operation(name, "write"):
                pass
            return found

        monkeypatch.setattr(stores, "active", active)
        stores.remove("store")

    def test_what_begins_before_that_is_seen(self, stores: Datastores, config: DatastoreConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        """An operation has read the configuration, and is about to open the directory."""
        real = stores._opened

        def opened(config: DatastoreConfig) -> FilesystemDatastore:
            with pytest.raises(Conflict, match="in use"):
                stores.remove("store", destroy=True)
            return real(config)

        monkeypatch.setattr(stores, "_opened", opened)
        with stores.operation("store", "write") as store:
            assert store.groups(ROOT)

    def test_a_stale_digest(self, stores: Datastores, config: DatastoreConfig) -> None:
        old = stores.configs.digest()
        stores.configs.update(replace(config, comment="x"))
        with pytest.raises(StaleDigest):
            stores.remove("store", digest=old)
        assert stores.configs.get("store").maintenance is None
        stores.remove("store", digest=stores.configs.digest())

    def test_an_interrupted_one_can_be_repeated(
        self, stores: Datastores, config: DatastoreConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stores.configs.update(replace(config, maintenance_mode="delete"))
        with pytest.raises(InMaintenance):
            stores.get("store", "read")
        stores.remove("store", destroy=True)
        assert not (tmp_path / "store").exists()

    def test_one_whose_directory_is_gone(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        (tmp_path / "store").rename(tmp_path / "away")
        stores.remove("store", destroy=True)
        assert stores.configs.all() == []
        assert (tmp_path / "away" / ".lock").exists()

    def test_one_whose_place_is_used_by_somebody_else(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        (tmp_path / "store").rename(tmp_path / "away")
        (tmp_path / "store" / "vm" / "images").mkdir(parents=True)
        with pytest.raises(layout.NoDatastore, match="not removed"):
            stores.remove("store", destroy=True)
        assert stores.configs.all() == [config]
        assert (tmp_path / "store" / "vm" / "images").exists()
        stores.remove("store")

    def test_an_unknown_one(self, stores: Datastores) -> None:
        with pytest.raises(NoSuchEntry):
            stores.remove("x")

    def test_foreign_files_stay(self, stores: Datastores, config: DatastoreConfig, tmp_path: Path) -> None:
        (tmp_path / "store" / "letters.txt").touch()
        stores.remove("store", destroy=True)
        assert os.listdir(tmp_path / "store") == ["letters.txt"]
