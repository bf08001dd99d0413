"""Backup groups: directories `<type>/<id>` with the files `owner` and `notes`. Source: spec formats §4.2, §4.6."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from platevault.errors import Conflict
from platevault.formats.names import SAFE_ID, BackupType, GroupName, Namespace
from platevault.store.filesystem import dirs
from platevault.store.filesystem.lock_files import Locked
from platevault.store.filesystem.namespaces import NamespaceFiles
from platevault.store.filesystem.replace import forget, replace_file
from platevault.store.filesystem.site import ns_path
from platevault.store.filesystem.trouble import NotInStore

OWNER = "owner"
NOTES = "notes"
LEFT_OVER = re.compile(r"(?:owner|notes)\.tmp_[A-Za-z0-9]{6}")  # of a process that died while it replaced the file


class NoOwner(Conflict):
    """The group has no readable owner; only an administrator can give it one. Facts: `path`."""


def group_path(ns: Namespace, group: GroupName) -> str:
    """Path of the group below the base."""
    return ns_path(ns, str(group))


class GroupFiles(NamespaceFiles):
    """The group layer of a filesystem datastore."""

    def groups(self, ns: Namespace) -> list[GroupName]:
        """The groups of one namespace, in order of type and id. A namespace that does not exist is an empty list."""
        found = [GroupName(kind, name) for kind in BackupType for name in self._ids(ns, kind)]
        return sorted(found, key=lambda group: group.sort_key)

    def _ids(self, ns: Namespace, kind: BackupType) -> list[str]:
        try:
            with self._directory("listing groups", ns_path(ns, str(kind))) as descriptor:
                return [name for name in dirs.folders(descriptor) if SAFE_ID.fullmatch(name)]
        except NotInStore:
            return []

    def group_exists(self, ns: Namespace, group: GroupName) -> bool:
        return self._exists(group_path(ns, group))

    def create_group(self, ns: Namespace, group: GroupName, owner: str) -> str:
        """Create the group with this owner unless it exists; returns the owner that it has now.

        The caller holds the group lock. The namespace must exist (NotInStore). A group directory without owner file, as a crash
        between the two leaves it, is taken over when it is empty. Raises NoOwner when it is not.
        """
        with self._directory("creating group", ns.relative_path) as inside:
            dirs.make_below(inside, str(group), owner=self._owner, sync=self._sync_files)
        with self._directory("creating group", group_path(ns, group)) as inside:
            if dirs.regular(inside, OWNER) is None:
                if dirs.folders(inside):
                    raise NoOwner(f"group '{group}' has snapshots but no owner", path=group_path(ns, group))
                replace_file(inside, OWNER, f"{owner}\n".encode(), owner=self._owner, sync=self._sync_level)
                return owner
        return self.owner(ns, group)

    def owner(self, ns: Namespace, group: GroupName) -> str:
        """The auth id that owns the group. Raises NotInStore for an unknown group, NoOwner when its file is missing or empty."""
        path = group_path(ns, group)
        with self._directory("reading owner of", path) as inside:
            text = _read_text(inside, OWNER)
        if text is None or not (first := text.split("\n", 1)[0].strip()):
            raise NoOwner(f"group '{group}' has no readable owner", path=path)
        return first

    def set_owner(self, ns: Namespace, group: GroupName, owner: str) -> None:
        """Give the group to somebody else, under its lock (Locked while a backup runs)."""
        with self.lock_group(ns, group), self._directory("writing owner of", group_path(ns, group)) as inside:
            replace_file(inside, OWNER, f"{owner}\n".encode(), owner=self._owner, sync=self._sync_level)

    def group_notes(self, ns: Namespace, group: GroupName) -> str:
        """The notes, empty when there are none. Raises NotInStore for an unknown group."""
        with self._directory("reading notes of", group_path(ns, group)) as inside:
            return _read_text(inside, NOTES) or ""

    def has_group_notes(self, ns: Namespace, group: GroupName) -> bool:
        """Whether notes were ever written, be they empty; lists show the difference."""
        with self._directory("reading notes of", group_path(ns, group)) as inside:
            return dirs.regular(inside, NOTES) is not None

    def set_group_notes(self, ns: Namespace, group: GroupName, notes: str) -> None:
        with self._directory("writing notes of", group_path(ns, group)) as inside:
            replace_file(inside, NOTES, notes.encode(), owner=self._owner, sync=self._sync_level)

    def remove_empty_group(self, ns: Namespace, group: GroupName) -> bool:
        """Remove the group directory when it has no snapshot left. False when it has, is gone, or is in use (not an error)."""
        try:
            with self.lock_group(ns, group) as lock:
                gone = self._remove_empty_group_locked(ns, group)
                if gone:
                    lock.remove()
                return gone
        except Locked:
            return False

    def _remove_empty_group_locked(self, ns: Namespace, group: GroupName) -> bool:
        path, name = ns_path(ns, str(group.type)), group.id
        with suppress(NotInStore), self._directory("removing group", path) as above:
            with dirs.directory(above, name) as inside:
                own = [file for file in os.listdir(inside) if file in (OWNER, NOTES) or LEFT_OVER.fullmatch(file)]
                if set(os.listdir(inside)).difference(own):
                    return False
                for file in sorted(own, key=lambda file: file == OWNER):  # the owner last: an empty group without it is anybody's
                    forget(inside, file)
            os.rmdir(name, dir_fd=above)
            return True
        return False


def _read_text(parent: int, name: str) -> str | None:
    try:
        descriptor = dirs.open_regular(parent, name)
    except FileNotFoundError:
        return None
    try:
        return dirs.read_all(descriptor).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
