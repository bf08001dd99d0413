"""Lists of groups, snapshots and files of a datastore."""

from __future__ import annotations

from typing import Any

from platevault.api.content_access import AUDIT, READ, owns, require_namespace, require_owner, require_snapshot, sees_all
from platevault.api.content_params import NsParams, SnapshotParams
from platevault.api.envelope import encode
from platevault.api.route import Call, Encoded, Route
from platevault.api.types import BackupId, BackupTypeText
from platevault.errors import NotFound
from platevault.formats.names import BackupType
from platevault.services.shared_run import SharedRuns
from platevault.services.snapshots import FileInfo, GroupInfo, SnapshotInfo, list_group_snapshots, list_groups, list_snapshots

FORM = "api"
# Hosts and monitoring ask for the same lists again and again, and all at once.
_SNAPSHOTS: SharedRuns[list[SnapshotInfo]] = SharedRuns()
_GROUPS: SharedRuns[list[GroupInfo]] = SharedRuns()


class SnapshotFilter(NsParams):
    backup_type: BackupTypeText | None = None
    backup_id: BackupId | None = None


def snapshots(call: Call, p: SnapshotFilter) -> Encoded:
    """The snapshots of a namespace, of one group or type when given; only own ones without Datastore.Audit."""
    everything = sees_all(call, p.store, p.ns, [AUDIT])
    store = call.app.datastores.get(p.store, "read")
    require_namespace(store, p.ns)
    kind = BackupType(p.backup_type) if p.backup_type else None
    found = _SNAPSHOTS.result((store, p.ns, kind, p.backup_id), lambda: list_snapshots(store, p.ns, kind, p.backup_id))
    return Encoded(b"[" + b",".join([_encoded(info) for info in found if everything or owns(call, info.owner)]) + b"]")


def groups(call: Call, p: NsParams) -> list[dict[str, Any]]:
    """The groups of a namespace; only own ones without Datastore.Audit."""
    everything = sees_all(call, p.store, p.ns, [AUDIT])
    store = call.app.datastores.get(p.store, "read")
    require_namespace(store, p.ns)
    found = _GROUPS.result((store, p.ns), lambda: list_groups(store, p.ns))
    return [group_item(info) for info in found if info.backup_count and (everything or owns(call, info.owner))]


def files(call: Call, p: SnapshotParams) -> list[dict[str, Any]]:
    """The files of one snapshot."""
    everything = sees_all(call, p.store, p.ns, [AUDIT, READ])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    info = next((info for info in list_group_snapshots(store, p.ns, p.group) if info.name == p.snapshot), None)
    if info is None or not info.finished:
        raise NotFound(f"manifest not found for snapshot '{p.snapshot}'")
    return [file_item(file) for file in info.files]


def file_item(file: FileInfo) -> dict[str, Any]:
    item: dict[str, Any] = {"filename": file.filename}
    if file.crypt_mode is not None:
        item["crypt-mode"] = file.crypt_mode.value
    if file.size is not None:
        item["size"] = file.size
    return item


def _encoded(info: SnapshotInfo) -> bytes:
    """The item as JSON, made once for as long as the snapshot stays as it is: hosts ask for the same long lists every few seconds."""
    made = info.encoded.get(FORM)
    if made is None:
        made = info.encoded[FORM] = encode(snapshot_item(info))
    return made


def snapshot_item(info: SnapshotInfo) -> dict[str, Any]:
    """The record Snapshot; what is not known is left out."""
    item: dict[str, Any] = {
        "backup-type": info.name.group.type.value,
        "backup-id": info.name.group.id,
        "backup-time": info.name.time,
        "files": [file_item(file) for file in info.files],
        "protected": info.protected,
    }
    optional = {"comment": info.comment, "fingerprint": info.fingerprint, "owner": info.owner, "size": info.size}
    item |= {key: value for key, value in optional.items() if value is not None}
    if info.verification is not None:
        item["verification"] = {"state": info.verification.state, "upid": info.verification.upid}
    return item


def group_item(info: GroupInfo) -> dict[str, Any]:
    """The record Group."""
    item: dict[str, Any] = {
        "backup-type": info.name.type.value,
        "backup-id": info.name.id,
        "last-backup": info.last_backup,
        "backup-count": info.backup_count,
        "files": list(info.files),
    }
    optional = {"owner": info.owner, "comment": info.comment}
    return item | {key: value for key, value in optional.items() if value is not None}


ROUTES = [
    Route("GET", "/admin/datastore/{store}/snapshots", snapshots, SnapshotFilter, priority="P0"),
    Route("GET", "/admin/datastore/{store}/groups", groups, NsParams, priority="P0"),
    Route("GET", "/admin/datastore/{store}/files", files, SnapshotParams, priority="P0"),
]
