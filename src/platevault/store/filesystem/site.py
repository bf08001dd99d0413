"""What every part of a filesystem datastore shares: the open base directory, ownership, sync level, locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platevault.clock import Clock
from platevault.formats.names import GroupName, Namespace, SnapshotName
from platevault.store.filesystem import dirs
from platevault.store.filesystem.lock_files import FileLock, LockFiles
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.trouble import translated


class Site:
    """The ground that the namespace, group and snapshot layers stand on. Immutable after construction, so it needs no lock."""

    def __init__(
        self, name: str, path: Path, base: int, *, locks: LockFiles, clock: Clock, sync_level: SyncLevel, owner: dirs.Owner | None
    ) -> None:
        self.name = name
        self._base_path = path
        self._base = base
        self._locks = locks
        self._clock = clock
        self._sync_level = sync_level
        self._sync_files = sync_level is SyncLevel.FILE
        self._owner = owner

    @property
    def path(self) -> Path | None:
        return self._base_path

    def lock_group(self, ns: Namespace, group: GroupName) -> FileLock:
        """The exclusive lock on a group. Raises Locked at once when somebody else holds it."""
        return self._locks.group(ns, group)

    def lock_snapshot(self, ns: Namespace, snapshot: SnapshotName, *, shared: bool) -> FileLock:
        """The lock on a snapshot. Raises Locked at once when somebody else holds it in a way that excludes this one."""
        return self._locks.snapshot(ns, snapshot, shared=shared)

    @contextmanager
    def _directory(self, what: str, path: str) -> Iterator[int]:
        """The directory `path` below the base, open; system errors in the block become ours."""
        with translated(what, path), dirs.directory(self._base, path) as descriptor:
            yield descriptor

    def _exists(self, path: str) -> bool:
        """Whether the directory is there. Links and files in the way count as absent."""
        try:
            os.close(dirs.open_below(self._base, dirs.parts(path)))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno in (20, 40):
                return False
            raise
        return True


def ns_path(ns: Namespace, rest: str = "") -> str:
    """`ns/a/ns/b/rest`; both parts may be empty."""
    return "/".join(part for part in (ns.relative_path, rest) if part)
