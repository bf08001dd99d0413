"""Namespaces: directories `ns/<component>` nested in each other. Source: spec formats §4.1."""

from __future__ import annotations

import os
from collections.abc import Iterator

from platevault.errors import Conflict, Invalid
from platevault.formats.names import SAFE_ID, BackupType, Namespace
from platevault.store.filesystem import dirs
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.site import Site, ns_path
from platevault.store.filesystem.trouble import NotInStore, translated

MAX_DEPTH = 7


class NamespaceExists(Conflict):
    """The namespace is there already. Facts: `path`."""


class NamespaceNotEmpty(Conflict):
    """Something is left in the namespace. Facts: `path`, `left`."""


class NamespaceFiles(Site):
    """The namespace layer of a filesystem datastore."""

    def namespaces(self, parent: Namespace, *, max_depth: int = MAX_DEPTH) -> Iterator[Namespace]:
        """`parent` first, then what is below it, depth first in order of names. `parent` itself is not looked for."""
        yield parent
        if max_depth > 0 and parent.depth < MAX_DEPTH:
            for name in self._children(parent):
                yield from self.namespaces(parent.child(name), max_depth=max_depth - 1)

    def _children(self, parent: Namespace) -> list[str]:
        try:
            with self._directory("listing namespace", ns_path(parent, "ns")) as descriptor:
                return sorted(name for name in dirs.folders(descriptor) if SAFE_ID.fullmatch(name))
        except NotInStore:
            return []

    def namespace_exists(self, ns: Namespace) -> bool:
        """Whether the namespace has a directory; the root always has."""
        return self._exists(ns.relative_path)

    def create_namespace(self, ns: Namespace) -> None:
        """Make the namespace and what is missing above it; it survives a power cut. Raises NamespaceExists."""
        sync = self._sync_level is not SyncLevel.NONE
        with translated("creating namespace", str(ns)):
            new = dirs.make_below(self._base, ns.relative_path, owner=self._owner, sync=sync)
        if not new:
            raise NamespaceExists(f"namespace '{ns}' already exists", path=ns.relative_path)

    def remove_namespace(self, ns: Namespace) -> None:
        """Remove an empty namespace. Raises NamespaceNotEmpty when something is left in it, Invalid for the root."""
        if ns.depth == 0:
            raise Invalid("the root namespace cannot be removed")
        parent, name = ns_path(ns.parent, "ns"), ns.components[-1]
        with self._directory("removing namespace", parent) as above, dirs.directory(above, name) as inside:
            for kind in [*BackupType, "ns"]:
                _remove_if_empty(inside, str(kind))
            left = sorted(os.listdir(inside))
            if left:
                raise NamespaceNotEmpty(f"namespace '{ns}' is not empty: it holds '{left[0]}'", path=ns.relative_path, left=left)
            os.rmdir(name, dir_fd=above)
        with self._directory("removing namespace", ns.parent.relative_path) as above:
            _remove_if_empty(above, "ns")


def _remove_if_empty(parent: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return  # absent, or not empty: the caller looks at what is left
