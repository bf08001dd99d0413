"""Permissions on the content of a datastore: by namespace, and by ownership of a group.

Source: spec rest-api §3.3, §6.5 (the rule OWN). These are checked inside of handlers, because the namespace is a parameter, and their
refusals name what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from platevault.api.route import Call
from platevault.errors import Invalid, NotFound
from platevault.formats.names import GroupName, Namespace, SnapshotName
from platevault.services.access import datastore_path, is_owner
from platevault.store.datastore import Datastore

AUDIT, MODIFY, READ = "Datastore.Audit", "Datastore.Modify", "Datastore.Read"
# Clients look for this text in what is said about missing things; proxmox-backup-client then says so in a friendlier way.
NO_ENTRY = "ENOENT: No such file or directory"
VERIFY, BACKUP, PRUNE = "Datastore.Verify", "Datastore.Backup", "Datastore.Prune"


def has_any(call: Call, store: str, ns: Namespace | None, *privileges: str) -> bool:
    """Whether the caller has one of the privileges on a datastore or one of its namespaces."""
    return call.app.access.has_any(call.auth_id, datastore_path(store, ns), privileges)


def require(call: Call, store: str, ns: Namespace | None, *privileges: str) -> None:
    """At least one of the privileges. Raises PermissionDenied."""
    call.app.access.check_any(call.auth_id, datastore_path(store, ns), privileges)


def require_single(call: Call, path: str, *privileges: str) -> None:
    """The same on any ACL path, for calls whose refusal is 400 in the reference server."""
    if not call.app.access.has_any(call.auth_id, path, privileges):
        raise Invalid(f"missing permissions '{'|'.join(privileges)}' on '{path}'")


def sees_all(call: Call, store: str, ns: Namespace, full: Sequence[str], owned: str = BACKUP) -> bool:
    """Whether the caller reaches all groups of the namespace; False: only its own. Raises PermissionDenied when neither."""
    require(call, store, ns, *full, owned)
    return has_any(call, store, ns, *full)


def require_owner(call: Call, store: Datastore, ns: Namespace, group: GroupName) -> None:
    """The caller owns the group. Raises NotOwner; NotFound when there is no such group."""
    call.app.access.check_owner(store.owner(ns, group), call.auth_id)


def require_namespace(store: Datastore, ns: Namespace) -> None:
    """Raises NotFound."""
    if not store.namespace_exists(ns):
        raise NotFound(f"unable to open namespace '{ns}' of datastore '{store.name}' - {NO_ENTRY}")


def require_group(store: Datastore, ns: Namespace, group: GroupName) -> None:
    """Raises NotFound."""
    if not store.group_exists(ns, group):
        raise NotFound(f"unable to open group '{group}' - {NO_ENTRY}")


def require_snapshot(store: Datastore, ns: Namespace, snapshot: SnapshotName) -> None:
    """Raises NotFound."""
    if not store.snapshot_exists(ns, snapshot):
        raise NotFound(f"snapshot {snapshot} does not exist! ({NO_ENTRY})")


def owns(call: Call, owner: str | None) -> bool:
    return owner is not None and is_owner(owner, call.auth_id)
