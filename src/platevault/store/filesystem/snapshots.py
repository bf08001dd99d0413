"""Snapshots: directories `<type>/<id>/<time>`, their life cycle and protection. Source: spec formats §4.3-§4.6.

A snapshot is finished when its manifest is there. So the manifest comes last and, at removal, goes first: a crash at any point
leaves an unfinished snapshot, which everybody knows how to clean up, never one that looks whole and is not.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from platevault.errors import Conflict
from platevault.formats.names import MANIFEST_NAME, GroupName, InvalidName, Namespace, SnapshotName, parse_time
from platevault.store.datastore import FileEntry, Removed, SnapshotEntry
from platevault.store.filesystem import dirs
from platevault.store.filesystem.groups import GroupFiles, group_path
from platevault.store.filesystem.lock_files import FileLock
from platevault.store.filesystem.replace import replace_file
from platevault.store.filesystem.site import ns_path
from platevault.store.filesystem.trouble import NotInStore

PROTECTED = ".protected"
VISIBLE = re.compile(r".*\.(?:[fd]idx|blob)")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
SETTLED_S = 2.0  # a directory changed less than this ago may change again without a new mtime (4 ms ticks, 2 s on FAT)


class SnapshotExists(Conflict):
    """There is a directory for this backup time already. Facts: `path`."""


class Protected(Conflict):
    """The snapshot is protected against removal. Facts: `path`."""


def snapshot_path(ns: Namespace, snapshot: SnapshotName) -> str:
    """Path of the snapshot below the base."""
    return ns_path(ns, str(snapshot))


class SnapshotFiles(GroupFiles):
    """The snapshot layer of a filesystem datastore."""

    _listed: dict[tuple[Namespace, GroupName], dict[str, SnapshotEntry]]  # what `snapshots` saw, by directory name; replaced as a whole

    def snapshots(self, ns: Namespace, group: GroupName) -> list[SnapshotEntry]:
        """Newest first. An unknown group is an empty list. Entries of directories that did not change come from memory."""
        try:
            with self._directory("listing group", group_path(ns, group)) as inside:
                seen = self._list_snapshots(inside, group, self._listed.get((ns, group), {}))
        except NotInStore:
            seen = {}
        self._remember(ns, group, seen)
        return [seen[name] for name in sorted(seen, reverse=True)]  # the names sort like the times

    def _remember(self, ns: Namespace, group: GroupName, seen: dict[str, SnapshotEntry]) -> None:
        if seen:
            self._listed[ns, group] = seen
        else:
            self._listed.pop((ns, group), None)

    def _list_snapshots(self, inside: int, group: GroupName, known: dict[str, SnapshotEntry]) -> dict[str, SnapshotEntry]:
        settled = self._clock.now() - SETTLED_S
        seen = {}
        for name in os.listdir(inside):
            old = known.get(name)
            if old is None and not TIME.fullmatch(name):
                continue
            try:
                found = os.stat(name, dir_fd=inside, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    version = (found.st_ino, found.st_mtime_ns) if found.st_mtime < settled else None
                    same = old is not None and version is not None and old.version == version
                    seen[name] = old if old is not None and same else _look_at(inside, group, name, version)
            except (FileNotFoundError, InvalidName):
                continue  # vanished meanwhile; 2024-99-99 is nobody's snapshot
        return seen

    def snapshot_exists(self, ns: Namespace, snapshot: SnapshotName) -> bool:
        return self._exists(snapshot_path(ns, snapshot))

    def create_snapshot(self, ns: Namespace, snapshot: SnapshotName) -> FileLock:
        """Make the directory and return the exclusive lock on it. Raises SnapshotExists, finished or not; Locked."""
        lock = self.lock_snapshot(ns, snapshot, shared=False)
        try:
            with self._directory("creating snapshot", group_path(ns, snapshot.group)) as inside:
                new = dirs.make_one(inside, snapshot.time_text, owner=self._owner, sync=self._sync_files)
            if not new:
                raise SnapshotExists("backup directory already exists.", path=snapshot_path(ns, snapshot))
        except BaseException:
            lock.release()
            raise
        return lock

    def remove_snapshot(self, ns: Namespace, snapshot: SnapshotName, *, force: bool = False, locked: bool = False) -> None:
        """Remove it and, when it was the last one and the group is not in use, its group.

        Raises Protected unless `force`, NotInStore, Locked. locked: the caller holds the exclusive lock and goes on to release it.
        """
        self._remove_one(ns, snapshot, force=force, locked=locked)
        self.remove_empty_group(ns, snapshot.group)

    def _remove_one(self, ns: Namespace, snapshot: SnapshotName, *, force: bool = False, locked: bool = False) -> None:
        lock = None if locked else self.lock_snapshot(ns, snapshot, shared=False)
        try:
            with self._locks.manifest(ns, snapshot) as manifest_lock:
                self._remove_directory(ns, snapshot, force=force)
                manifest_lock.remove()
            self._locks.forget_snapshot(ns, snapshot)
        finally:
            if lock is not None:
                lock.release()

    def _remove_directory(self, ns: Namespace, snapshot: SnapshotName, *, force: bool) -> None:
        path, name = group_path(ns, snapshot.group), snapshot.time_text
        with self._directory("removing snapshot", path) as above:
            with dirs.directory(above, name) as inside:
                if dirs.regular(inside, PROTECTED) is not None and not force:
                    raise Protected(f"cannot remove protected snapshot '{snapshot}'", path=snapshot_path(ns, snapshot))
                with suppress(FileNotFoundError):
                    os.unlink(MANIFEST_NAME, dir_fd=inside)  # any other error ends the removal while the snapshot is still whole
                    if self._sync_files:
                        os.fsync(inside)  # the absence of the manifest must not be undone by a power cut once other files are gone
                _remove_content(inside)
            os.rmdir(name, dir_fd=above)

    def remove_group(self, ns: Namespace, group: GroupName) -> Removed:
        """Remove every snapshot that is not protected, and the group if none is left. Counts what was done.

        Holds the group lock all the time. Raises Locked when the group or one of its snapshots is in use: those before it are gone.
        """
        removed = Removed()
        with self.lock_group(ns, group) as lock:
            if not self.group_exists(ns, group):
                raise NotInStore(f"group '{group}' does not exist", path=group_path(ns, group))
            for entry in self.snapshots(ns, group):
                if entry.protected:
                    removed.protected_snapshots += 1
                    removed.protected_names.append(entry.name)
                    continue
                self._remove_one(ns, entry.name)
                removed.snapshots += 1
            if not removed.protected_snapshots and self._remove_empty_group_locked(ns, group):
                removed.groups = 1
                lock.remove()
        return removed

    def files(self, ns: Namespace, snapshot: SnapshotName) -> list[FileEntry]:
        """Indexes and blobs of the snapshot in order of names; everything else in the directory is invisible."""
        with self._directory("listing snapshot", snapshot_path(ns, snapshot)) as inside:
            found = [(name, dirs.regular(inside, name)) for name in sorted(os.listdir(inside)) if VISIBLE.fullmatch(name)]
        return [FileEntry(name, known.st_size) for name, known in found if known is not None]

    def is_protected(self, ns: Namespace, snapshot: SnapshotName) -> bool:
        with self._directory("looking at snapshot", snapshot_path(ns, snapshot)) as inside:
            return dirs.regular(inside, PROTECTED) is not None

    def set_protected(self, ns: Namespace, snapshot: SnapshotName, protected: bool) -> None:
        """Set or clear the protection, under the exclusive snapshot lock (Locked while somebody reads or writes it)."""
        with (
            self.lock_snapshot(ns, snapshot, shared=False),
            self._directory("protecting snapshot", snapshot_path(ns, snapshot)) as inside,
        ):
            if protected:
                replace_file(inside, PROTECTED, b"", owner=self._owner, sync=self._sync_level)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(PROTECTED, dir_fd=inside)


def _look_at(inside: int, group: GroupName, name: str, version: tuple[int, int] | None) -> SnapshotEntry:
    finished = dirs.regular(inside, f"{name}/{MANIFEST_NAME}") is not None
    protected = dirs.regular(inside, f"{name}/{PROTECTED}") is not None
    return SnapshotEntry(SnapshotName(group, parse_time(name)), finished, protected, version)


def _remove_content(inside: int) -> None:
    """Empty a directory, `.protected` last: while anything is left, it still says what the administrator wanted."""
    for name in sorted(os.listdir(inside), key=lambda name: name == PROTECTED):
        try:
            os.unlink(name, dir_fd=inside)
        except IsADirectoryError:  # not ours, but it would keep the snapshot for ever
            with dirs.directory(inside, name) as below:
                _remove_content(below)
            os.rmdir(name, dir_fd=inside)
