"""Notes of snapshots and groups."""

from __future__ import annotations

from platevault.api.content_access import AUDIT, MODIFY, require_group, require_owner, require_snapshot, sees_all
from platevault.api.content_params import GroupParams, SnapshotParams
from platevault.api.route import Call, Route
from platevault.api.types import PlainText


class SnapshotNotes(SnapshotParams):
    notes: PlainText


class GroupNotes(GroupParams):
    notes: PlainText


def get_notes(call: Call, p: SnapshotParams) -> str:
    """The whole notes of a snapshot; empty without any."""
    everything = sees_all(call, p.store, p.ns, [AUDIT])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    notes = store.read_manifest(p.ns, p.snapshot).unprotected.get("notes")
    return notes if isinstance(notes, str) else ""


def set_notes(call: Call, p: SnapshotNotes) -> None:
    """Replace the notes of a snapshot."""
    everything = sees_all(call, p.store, p.ns, [MODIFY])
    store = call.app.datastores.get(p.store, "write")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    store.update_manifest(p.ns, p.snapshot, lambda manifest: manifest.with_unprotected(notes=p.notes))


def get_group_notes(call: Call, p: GroupParams) -> str:
    """The whole notes of a group; empty without any, and for a missing group."""
    everything = sees_all(call, p.store, p.ns, [AUDIT])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    return store.group_notes(p.ns, p.group) if store.group_exists(p.ns, p.group) else ""


def set_group_notes(call: Call, p: GroupNotes) -> None:
    """Replace the notes of a group."""
    everything = sees_all(call, p.store, p.ns, [MODIFY])
    store = call.app.datastores.get(p.store, "write")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_group(store, p.ns, p.group)
    store.set_group_notes(p.ns, p.group, p.notes)


ROUTES = [
    Route("GET", "/admin/datastore/{store}/notes", get_notes, SnapshotParams, priority="P0"),
    Route("PUT", "/admin/datastore/{store}/notes", set_notes, SnapshotNotes, priority="P0"),
    Route("GET", "/admin/datastore/{store}/group-notes", get_group_notes, GroupParams),
    Route("PUT", "/admin/datastore/{store}/group-notes", set_group_notes, GroupNotes),
]
