"""Datastores by name: opened once, refused while in maintenance, with a count of what is going on in each.

Texts of refusals are those that existing programs look for (spec rest-api §3.5).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from platevault.clock import Clock
from platevault.config.datastores import DatastoreConfig, DatastoreConfigs, Maintenance, tuning_of
from platevault.config.sections import EntryExists
from platevault.errors import Conflict, Invalid, Unavailable
from platevault.services.gc import check_times_are_kept
from platevault.store.filesystem import layout
from platevault.store.filesystem.datastore import FilesystemDatastore
from platevault.store.filesystem.options import SyncLevel

Purpose = Literal["read", "write", "any"]
READABLE_MODES = frozenset({"read-only"})


class InMaintenance(Unavailable):
    """The datastore is in a maintenance mode that forbids this. Facts: `store`, `mode`."""


@dataclass(slots=True)
class Operations:
    """Running operations on one datastore in this process."""

    read: int = 0
    write: int = 0


def refusal(store: str, maintenance: Maintenance) -> InMaintenance:
    """The error for an operation that the mode forbids."""
    words = {
        "delete": "datastore is being deleted",
        "unmount": "datastore is being unmounted",
        "s3-refresh": "datastore contents are being refreshed from the object store",
    }
    text = words.get(maintenance.mode) or f"{maintenance.mode} maintenance mode: {maintenance.message or ''}"
    return InMaintenance(f"datastore '{store}' is unavailable: {text}", store=store, mode=maintenance.mode)


class Datastores:
    """Open datastores. `_lock` protects the tables and the counters; it is never held while a disk is waited for."""

    def __init__(self, configs: DatastoreConfigs, *, locks_dir: Path, clock: Clock) -> None:
        self.configs = configs
        self._locks_dir, self._clock = locks_dir, clock
        self._lock = threading.Lock()
        self._open: dict[str, tuple[tuple[str, str], FilesystemDatastore]] = {}  # (path, sync level) -> datastore
        self._opening: dict[str, threading.Lock] = {}
        self._operations: dict[str, Operations] = {}

    def get(self, name: str, purpose: Purpose) -> FilesystemDatastore:
        """The open datastore. Raises NoSuchEntry, InMaintenance, or what opening the directory raises.

        purpose: what the caller is going to do; `any` is for looking at figures, which maintenance does not forbid.
        """
        config = self.configs.get(name)
        maintenance = config.maintenance
        if maintenance is not None and purpose != "any" and not (purpose == "read" and maintenance.mode in READABLE_MODES):
            raise refusal(name, maintenance)
        return self._opened(config)

    def _opened(self, config: DatastoreConfig) -> FilesystemDatastore:
        """One datastore is opened at a time, and nobody waits who wants another: its disk may hang."""
        wanted = config.path, tuning_of(config).get("sync-level", SyncLevel.FILESYSTEM.value)
        with self._lock:
            opening = self._opening.setdefault(config.name, threading.Lock())
        with opening:
            with self._lock:
                known = self._open.get(config.name)
            if known is not None and known[0] == wanted:
                return known[1]
            store = self._at(config, SyncLevel(wanted[1]))
            with self._lock:
                # One that was open under other settings may still serve a session; it is let go with its last user.
                self._open[config.name] = wanted, store
            return store

    def _at(self, config: DatastoreConfig, sync_level: SyncLevel = SyncLevel.FILESYSTEM) -> FilesystemDatastore:
        return FilesystemDatastore(config.name, Path(config.path), locks_dir=self._locks_dir, clock=self._clock, sync_level=sync_level)

    @contextmanager
    def operation(self, name: str, purpose: Literal["read", "write"]) -> Iterator[FilesystemDatastore]:
        """The datastore for the length of an operation that shows in the counters. Raises as `get`.

        It is counted before its configuration is looked at, while a removal changes the configuration before it looks at the counters:
        so one of the two sees the other.
        """
        self._count(name, purpose, 1)
        try:
            yield self.get(name, purpose)
        finally:
            self._count(name, purpose, -1)

    def _count(self, name: str, purpose: Literal["read", "write"], step: int) -> None:
        with self._lock:
            running = self._operations.setdefault(name, Operations())
            if purpose == "read":
                running.read += step
            else:
                running.write += step

    def active(self, name: str) -> Operations:
        """A copy of the counters."""
        with self._lock:
            found = self._operations.get(name, Operations())
            return Operations(found.read, found.write)

    def create(self, config: DatastoreConfig, *, reuse: bool = False) -> None:
        """Make the directory (or attach the one that is there), then configure it.

        Raises EntryExists, Invalid for a path inside another datastore, TimesNotKept for a file system on which garbage could not be
        told from chunks in use, or what the directory raises.
        """
        if self.configs.find(config.name) is not None:
            raise EntryExists(f"datastore '{config.name}' already exists.", section="datastore", id=config.name)
        self.check_new(config)
        if reuse:
            self._at(config).close()
        else:
            layout.make(Path(config.path))
            self._check_times(config)
        self.configs.insert(config)

    def _check_times(self, config: DatastoreConfig) -> None:
        """A directory that cannot be used goes again."""
        store = self._at(config)
        try:
            check_times_are_kept(store.chunks)
        except BaseException:
            layout.destroy(Path(config.path))
            raise
        finally:
            store.close()

    def check_new(self, config: DatastoreConfig) -> None:
        """Raises Invalid for a path that is not absolute, or that contains or lies in another datastore, be it by a link."""
        path = Path(config.path)
        if not path.is_absolute():
            raise Invalid(f"path '{config.path}' of datastore '{config.name}' is not absolute")
        real = path.resolve()
        for other in self.configs.all():
            taken = Path(other.path).resolve()
            if real.is_relative_to(taken) or taken.is_relative_to(real) or _is_same(real, taken):
                raise Invalid(f"path '{config.path}' overlaps with datastore '{other.name}' at '{other.path}': choose another")

    def remove(self, name: str, *, destroy: bool = False, digest: str | None = None) -> None:
        """Forget a datastore, and with `destroy` remove all that is in it. Raises NoSuchEntry, StaleDigest, Conflict while in use.

        First nothing new may begin, in whatever process; then it is seen whether something runs; then the configuration goes, so that
        nobody opens a datastore any more whose chunks are being removed. Interrupted, it can be repeated.
        """
        config = self.configs.get(name)
        self.configs.update(replace(config, maintenance_mode="delete"), digest=digest)
        try:
            self._check_unused(name)
            hold = self._hold(config) if destroy else nullcontext()
        except BaseException:
            self.configs.update(config)
            raise
        with hold:
            self.configs.delete(name)
            self.forget(name)
            if destroy:
                layout.destroy(Path(config.path))

    def _check_unused(self, name: str) -> None:
        active = self.active(name)
        if active.read or active.write:
            raise Conflict(f"datastore '{name}' is in use by {active.read + active.write} operations: try again when they have ended")

    def _hold(self, config: DatastoreConfig) -> AbstractContextManager[object]:
        """Keep writers of other processes out. Raises Conflict when there are some, NoDatastore for a directory with other things in it."""
        try:
            return self._at(config).hold_for_collection()
        except layout.NoDatastore:
            layout.check_remains(Path(config.path))
            return nullcontext()

    def forget(self, name: str) -> None:
        """Let go of a datastore whose configuration is gone.

        It is not closed: a request that got it a moment ago would go on with directory descriptors that may mean something else by then.
        """
        with self._lock:
            self._open.pop(name, None)
            self._operations.pop(name, None)

    def close(self) -> None:
        """Close all, once nobody uses them any more."""
        with self._lock:
            stores = [known[1] for known in self._open.values()]
            self._open.clear()
        for store in stores:
            store.close()


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are the same directory, which a bind mount may hide."""
    try:
        return one.samefile(other)
    except OSError:
        return False
