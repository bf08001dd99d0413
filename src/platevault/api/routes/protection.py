"""Protection of a snapshot against removal."""

from __future__ import annotations

from platevault.api.content_access import AUDIT, MODIFY, require_owner, require_snapshot, sees_all
from platevault.api.content_params import SnapshotParams
from platevault.api.route import Call, Route


class Protection(SnapshotParams):
    protected: bool


def get_protected(call: Call, p: SnapshotParams) -> bool:
    """Whether the snapshot is protected; False for a missing one. Proxmox VE takes a 404 as "cannot be protected at all"."""
    everything = sees_all(call, p.store, p.ns, [AUDIT])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    return store.snapshot_exists(p.ns, p.snapshot) and store.is_protected(p.ns, p.snapshot)


def set_protected(call: Call, p: Protection) -> None:
    """Protect a snapshot, or take that back."""
    everything = sees_all(call, p.store, p.ns, [MODIFY])
    store = call.app.datastores.get(p.store, "write")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    store.set_protected(p.ns, p.snapshot, p.protected)


ROUTES = [
    Route("GET", "/admin/datastore/{store}/protected", get_protected, SnapshotParams, priority="P0"),
    Route("PUT", "/admin/datastore/{store}/protected", set_protected, Protection, priority="P0"),
]
