"""Namespaces of a datastore."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from platevault.api.content_access import AUDIT, BACKUP, MODIFY, has_any, require
from platevault.api.content_params import StoreParams
from platevault.api.parameters import wrong
from platevault.api.route import Call, Route
from platevault.api.routes.removal import refuse_protected, removal_record
from platevault.api.types import Depth, Ns
from platevault.errors import Conflict, Invalid, NotFound
from platevault.formats.names import ROOT, Namespace
from platevault.services.access import datastore_path
from platevault.store.datastore import Datastore, Removed


class NamespaceList(StoreParams):
    parent: Ns = ROOT
    max_depth: Depth | None = None


class NewNamespace(StoreParams):
    name: Annotated[str, Field(min_length=1, max_length=32)]
    parent: Ns = ROOT


class NamespaceRemoval(StoreParams):
    ns: Ns
    delete_groups: bool = False
    error_on_protected: bool = True


def list_namespaces(call: Call, p: NamespaceList) -> list[dict[str, str]]:
    """The namespaces from a parent on, itself first; the parent is not looked for."""
    everything = has_any(call, p.store, p.parent, AUDIT, MODIFY, BACKUP)
    if not everything and not _is_visible(call, p.store, p.parent):
        require(call, p.store, p.parent, AUDIT, MODIFY, BACKUP)
    store = call.app.datastores.get(p.store, "read")
    found = store.namespaces(p.parent, max_depth=7 if p.max_depth is None else p.max_depth)
    return [{"ns": str(ns)} for ns in found if _is_visible(call, p.store, ns)]


def create_namespace(call: Call, p: NewNamespace) -> str:
    """Create a namespace below a parent that exists; an existing one stays as it is."""
    require(call, p.store, p.parent, MODIFY)
    store = call.app.datastores.get(p.store, "write")
    ns = _child(p.parent, p.name)
    if not store.namespace_exists(p.parent):
        raise NotFound(f"cannot create new namespace, parent {p.parent} doesn't already exists")
    if not store.namespace_exists(ns):
        store.create_namespace(ns)
    return str(ns)


def remove_namespace(call: Call, p: NamespaceRemoval) -> dict[str, int]:
    """Remove a namespace and the empty ones below it; what holds groups only with delete-groups."""
    if p.ns.is_root:
        raise Invalid("Cannot create/delete root namespace!")
    require(call, p.store, p.ns.parent, MODIFY)
    store = call.app.datastores.get(p.store, "write")
    removed = Removed()
    left = _remove(store, p, removed) if store.namespace_exists(p.ns) else []
    refuse_protected(removed, wanted=p.error_on_protected, what=f"namespace '{p.ns}'")
    if left and not p.delete_groups:
        raise Conflict(f"only partially deleted due to existing groups but `delete-groups` not true: {left[0]}")
    return removal_record(removed)


def _remove(store: Datastore, p: NamespaceRemoval, removed: Removed) -> list[str]:
    """Remove from the deepest level up; returns the namespaces that stay because something is left in them."""
    left = []
    for ns in sorted(store.namespaces(p.ns), key=lambda ns: ns.depth, reverse=True):
        if p.delete_groups:
            _remove_groups(store, ns, removed)
        try:
            store.remove_namespace(ns)
        except Conflict:
            left.append(str(ns))
        except NotFound:
            pass  # somebody else was faster
    return left


def _remove_groups(store: Datastore, ns: Namespace, removed: Removed) -> None:
    for group in store.groups(ns):
        one = store.remove_group(ns, group)
        removed.groups += one.groups
        removed.snapshots += one.snapshots
        removed.protected_snapshots += one.protected_snapshots


def _child(parent: Namespace, name: str) -> Namespace:
    if "/" in name:
        raise wrong("name", "value does not match the regex pattern")
    try:
        return parent.child(name)
    except Invalid as error:
        raise wrong("name", error.message) from None


def _is_visible(call: Call, store: str, ns: Namespace) -> bool:
    """A privilege on the namespace, or on one below it that could not be reached otherwise."""
    return call.app.access.has_any_below(call.auth_id, datastore_path(store, ns))


ROUTES = [
    Route("GET", "/admin/datastore/{store}/namespace", list_namespaces, NamespaceList, priority="P0"),
    Route("POST", "/admin/datastore/{store}/namespace", create_namespace, NewNamespace, priority="P0"),
    Route("DELETE", "/admin/datastore/{store}/namespace", remove_namespace, NamespaceRemoval, priority="P0"),
]
