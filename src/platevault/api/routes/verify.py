"""Verification of a datastore, a namespace, a group or a snapshot, as a task."""

from __future__ import annotations

from collections.abc import Iterator

from platevault.api.content_access import BACKUP, VERIFY, has_any, owns, require, require_owner, sees_all
from platevault.api.content_params import NsParams
from platevault.api.parameters import wrong
from platevault.api.route import Call, Route
from platevault.api.types import BackupId, BackupTypeText, Depth, Epoch, Natural, Threads
from platevault.config.datastores import verification_workers
from platevault.errors import NotFound
from platevault.formats.names import GroupName, Namespace, SnapshotName
from platevault.services.snapshots import owner_or_none
from platevault.services.tasks import Task
from platevault.services.verify import Selection, Target, run_verify, targets_below, targets_in
from platevault.store.datastore import Datastore


class Verification(NsParams):
    backup_type: BackupTypeText | None = None
    backup_id: BackupId | None = None
    backup_time: Epoch | None = None
    ignore_verified: bool = True
    outdated_after: Natural | None = None
    max_depth: Depth | None = None
    read_threads: Threads | None = None
    verify_threads: Threads | None = None

    @property
    def group(self) -> GroupName | None:
        """The group that is named, None for the whole namespace. Raises WrongParameters for half a name."""
        if self.backup_type is not None and self.backup_id is not None:
            return GroupName.make(self.backup_type, self.backup_id)
        if (self.backup_type, self.backup_id, self.backup_time) != (None, None, None):
            raise wrong("backup-type", "backup-type, backup-id and backup-time do not name a snapshot, a group or the datastore")
        return None


def verify(call: Call, p: Verification) -> str:
    """Read back and check; the result is noted in the snapshots."""
    group = p.group
    store = _open(call, p, group)
    kind, worker_id = _worker(p, group)

    def run(task: Task) -> None:
        with call.app.datastores.operation(p.store, "read"):
            targets = _targets(call, store, p, group)
            selection = Selection(p.ignore_verified, p.outdated_after)
            workers = verification_workers(call.app.datastores.configs.get(p.store), p.verify_threads)
            run_verify(store, targets, task, upid=str(task.upid), clock=call.app.clock, selection=selection, workers=workers)

    return str(call.app.tasks.start(kind, worker_id, call.auth_id, run))


def _open(call: Call, p: Verification, group: GroupName | None) -> Datastore:
    if group is None:
        require(call, p.store, p.ns, VERIFY, BACKUP)
        return call.app.datastores.get(p.store, "read")
    everything = sees_all(call, p.store, p.ns, [VERIFY])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, group)
    return store


def _worker(p: Verification, group: GroupName | None) -> tuple[str, str]:
    """Worker type and id."""
    place = p.ns.relative_path
    if group is None:
        return "verify", f"{p.store}:{place}" if place else p.store
    if p.backup_time is None:
        return "verify_group", f"{p.store}:{place}/{group}"
    return "verify_snapshot", f"{p.store}:{place}/{group}/{p.backup_time:08X}"


def _targets(call: Call, store: Datastore, p: Verification, group: GroupName | None) -> Iterator[Target]:
    if group is not None and p.backup_time is not None:
        return iter([(p.ns, SnapshotName(group, p.backup_time))])
    if group is not None:
        return targets_in(store, p.ns, group)
    if not store.namespace_exists(p.ns):
        raise NotFound(f"namespace '{p.ns}' does not exist")

    def allowed(ns: Namespace, one: GroupName) -> bool:
        if has_any(call, p.store, ns, VERIFY):
            return True
        return has_any(call, p.store, ns, BACKUP) and owns(call, owner_or_none(store, ns, one))

    return targets_below(store, p.ns, max_depth=7 if p.max_depth is None else p.max_depth, allowed=allowed)


ROUTES = [Route("POST", "/admin/datastore/{store}/verify", verify, Verification, priority="P0")]
