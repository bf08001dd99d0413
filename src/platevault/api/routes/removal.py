"""Removal of snapshots and groups, and the change of a group's owner."""

from __future__ import annotations

from platevault.api.content_access import BACKUP, MODIFY, PRUNE, owns, require_group, require_owner, require_snapshot, sees_all
from platevault.api.content_params import GroupParams, SnapshotParams
from platevault.api.route import Call, Route
from platevault.api.statuses import WithStatus
from platevault.api.types import AuthId
from platevault.config.identifiers import user_of
from platevault.errors import Conflict, Invalid
from platevault.store.datastore import Removed


class GroupRemoval(GroupParams):
    error_on_protected: bool = True


class OwnerChange(GroupParams):
    new_owner: AuthId


def remove_snapshot(call: Call, p: SnapshotParams) -> None:
    """Remove one snapshot, and its group with the last one."""
    everything = sees_all(call, p.store, p.ns, [MODIFY], PRUNE)
    store = call.app.datastores.get(p.store, "write")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    store.remove_snapshot(p.ns, p.snapshot)


def remove_group(call: Call, p: GroupRemoval) -> dict[str, int]:
    """Remove a group; protected snapshots stay."""
    everything = sees_all(call, p.store, p.ns, [MODIFY], PRUNE)
    store = call.app.datastores.get(p.store, "write")
    require_group(store, p.ns, p.group)
    if not everything:
        require_owner(call, store, p.ns, p.group)
    removed = store.remove_group(p.ns, p.group)
    refuse_protected(removed, wanted=p.error_on_protected, what="group")
    return removal_record(removed)


def change_owner(call: Call, p: OwnerChange) -> None:
    """Give a group to another user or token."""
    everything = sees_all(call, p.store, p.ns, [MODIFY], BACKUP)
    if not call.app.access.is_active(p.new_owner):
        raise Invalid(f"user '{p.new_owner}' is inactive or non-existent")
    store = call.app.datastores.get(p.store, "write")
    require_group(store, p.ns, p.group)
    if not everything and not _is_handover(call, store.owner(p.ns, p.group), p.new_owner):
        text = f"{call.auth_id} does not have permission to change owner of backup group '{p.group}' to {p.new_owner}"
        raise WithStatus(401, text)
    store.set_owner(p.ns, p.group, p.new_owner)


def _is_handover(call: Call, owner: str, new_owner: str) -> bool:
    """Between a user and its own tokens, of a group that is the caller's."""
    return owns(call, owner) and user_of(new_owner) == user_of(call.auth_id) and owner != new_owner


def refuse_protected(removed: Removed, *, wanted: bool, what: str) -> None:
    """Raises Conflict when protected snapshots stayed behind and that is an error."""
    if wanted and removed.protected_snapshots:
        raise Conflict(f"{what} only partially deleted due to protected snapshots")


def removal_record(removed: Removed) -> dict[str, int]:
    return {
        "removed-groups": removed.groups,
        "protected-snapshots": removed.protected_snapshots,
        "removed-snapshots": removed.snapshots,
    }


ROUTES = [
    Route("DELETE", "/admin/datastore/{store}/snapshots", remove_snapshot, SnapshotParams, priority="P0"),
    Route("DELETE", "/admin/datastore/{store}/groups", remove_group, GroupRemoval, priority="P0"),
    Route("POST", "/admin/datastore/{store}/change-owner", change_owner, OwnerChange, priority="P0"),
]
