"""Datastores by name: opened once, refused while in maintenance, with a count of what is going on in each.

Texts of refusals are those that existing programs look for (spec rest-api §3.5).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platevault.clock import Clock
from platevault.config.datastores import DatastoreConfig, DatastoreConfigs, Maintenance, tuning_of
from platevault.errors import Conflict, Invalid, Unavailable
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
    """Open datastores. `_lock` protects the table of open ones and the counters."""

    def __init__(self, configs: DatastoreConfigs, *, locks_dir: Path, clock: Clock) -> None:
        self.configs = configs
        self._locks_dir, self._clock = locks_dir, clock
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, str, FilesystemDatastore]] = {}
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
        level = tuning_of(config).get("sync-level", SyncLevel.FILESYSTEM.value)
        with self._lock:
            known = self._open.get(config.name)
            if known is not None and known[:2] == (config.path, level):
                return known[2]
            store = FilesystemDatastore(
                config.name, Path(config.path), locks_dir=self._locks_dir, clock=self._clock, sync_level=SyncLevel(level)
            )
            # One that was open under other settings may still serve a session; it is let go with its last user.
            self._open[config.name] = (config.path, level, store)
            return store

    @contextmanager
    def operation(self, name: str, purpose: Literal["read", "write"]) -> Iterator[FilesystemDatastore]:
        """The datastore for the length of an operation that shows in the counters. Raises as `get`."""
        store = self.get(name, purpose)
        self._count(name, purpose, 1)
        try:
            yield store
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

        Raises EntryExists, Invalid for a path inside another datastore, or what the directory raises.
        """
        path = Path(config.path)
        self.check_new(config)
        if reuse:
            FilesystemDatastore(config.name, path, locks_dir=self._locks_dir, clock=self._clock).close()
        else:
            FilesystemDatastore.create(config.name, path, locks_dir=self._locks_dir, clock=self._clock).close()
        self.configs.insert(config)

    def check_new(self, config: DatastoreConfig) -> None:
        """Raises Invalid for a path that is not absolute, or that contains or lies in another datastore."""
        path = Path(config.path)
        if not path.is_absolute():
            raise Invalid(f"path '{config.path}' of datastore '{config.name}' is not absolute")
        for other in self.configs.all():
            taken = Path(other.path)
            if path == taken or path in taken.parents or taken in path.parents:
                raise Invalid(f"path '{config.path}' overlaps with datastore '{other.name}' at '{other.path}': choose another")

    def remove(self, name: str, *, destroy: bool = False, digest: str | None = None) -> None:
        """Forget a datastore, and with `destroy` remove all that is in it. Raises NoSuchEntry, StaleDigest, Conflict while in use.

        The configuration goes first: nobody opens a datastore any more whose chunks are being removed.
        """
        config = self.configs.get(name)
        active = self.active(name)
        if active.read or active.write:
            raise Conflict(f"datastore '{name}' is in use by {active.read + active.write} operations: try again when they have ended")
        self.configs.delete(name, digest=digest)
        self.forget(name)
        if destroy:
            layout.destroy(Path(config.path))

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
            stores = [known[2] for known in self._open.values()]
            self._open.clear()
        for store in stores:
            store.close()
