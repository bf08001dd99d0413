"""The log of a backup client, stored beside its snapshot."""

from __future__ import annotations

from platevault.api.content_access import BACKUP, require, require_owner, require_snapshot
from platevault.api.content_params import SnapshotParams
from platevault.api.route import Call, Kind, Route
from platevault.errors import Conflict, Invalid
from platevault.formats import blob
from platevault.formats.names import CLIENT_LOG_NAME


def upload_backup_log(call: Call, p: SnapshotParams) -> None:
    """Store the body, an encoded blob, as the log of a snapshot of one's own; once."""
    require(call, p.store, p.ns, BACKUP)
    store = call.app.datastores.get(p.store, "write")
    require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    if any(file.name == CLIENT_LOG_NAME for file in store.files(p.ns, p.snapshot)):
        raise Conflict("backup already contains a log.")
    if len(call.body) < blob.HEADER_BYTES:
        raise Invalid(f"blob too small ({len(call.body)} bytes).")
    blob.check_crc(call.body)
    store.write_blob(p.ns, p.snapshot, CLIENT_LOG_NAME, call.body, replace=False)


ROUTES = [
    Route(
        "POST",
        "/admin/datastore/{store}/upload-backup-log",
        upload_backup_log,
        SnapshotParams,
        kind=Kind.UPLOAD,
        priority="P0",
        max_body_bytes=blob.MAX_BLOB_BYTES,
    )
]
