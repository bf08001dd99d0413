"""Who may look at a sync job, and who may make, change or run it.

Source: spec rest-api §6.5 (SYNC-READ, SYNC-MODIFY), administration §4.2.
"""

from __future__ import annotations

from platevault.api.content_access import AUDIT, BACKUP, MODIFY, PRUNE, READ
from platevault.api.route import Call
from platevault.config.jobs import SyncJob
from platevault.formats.names import Namespace
from platevault.services.access import datastore_path, is_owner

REMOTE_AUDIT, REMOTE_READ = "Remote.Audit", "Remote.Read"
REMOTE_BACKUP, REMOTE_PRUNE = "Remote.DatastoreBackup", "Remote.DatastorePrune"


def may_read(call: Call, job: SyncJob) -> bool:
    """SYNC-READ."""
    if not _holds(call, _local(job), AUDIT):
        return False
    if job.is_push:
        return _holds(call, _target(job), REMOTE_AUDIT)
    if job.remote is not None:
        return _holds(call, f"/remote/{job.remote}", REMOTE_AUDIT)
    return _holds(call, datastore_path(job.remote_store), AUDIT)


def may_change(call: Call, job: SyncJob) -> bool:
    """SYNC-MODIFY."""
    return _may_change_push(call, job) if job.is_push else _may_change_pull(call, job)


def _may_change_pull(call: Call, job: SyncJob) -> bool:
    local = _local(job)
    needed = [AUDIT, BACKUP]
    if job.remove_vanished:
        needed.append(PRUNE)
    if not is_owner(job.acting_owner, call.auth_id):
        needed.append(MODIFY)
    source = datastore_path(job.remote_store) if job.remote is None else f"/remote/{job.remote}/{job.remote_store}"
    return _holds(call, local, *needed) and _holds(call, source, BACKUP if job.remote is None else REMOTE_READ)


def _may_change_push(call: Call, job: SyncJob) -> bool:
    local = _local(job)
    needed = [REMOTE_BACKUP, REMOTE_PRUNE] if job.remove_vanished else [REMOTE_BACKUP]
    if not _holds(call, _target(job), *needed) or not _holds(call, local, AUDIT):
        return False
    own = is_owner(job.acting_owner, call.auth_id)
    return _holds(call, local, READ) or (_holds(call, local, BACKUP) and (own or _holds(call, local, MODIFY)))


def _holds(call: Call, path: str, *names: str) -> bool:
    """All of the privileges."""
    return call.app.access.privileges(call.auth_id, path).issuperset(names)


def _local(job: SyncJob) -> str:
    return datastore_path(job.store, Namespace.parse(job.ns or ""))


def _target(job: SyncJob) -> str:
    return "/".join(("/remote", job.remote or "", job.remote_store, *Namespace.parse(job.remote_ns or "").components))
