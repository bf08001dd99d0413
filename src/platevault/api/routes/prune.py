"""Pruning one group or a whole datastore by retention options."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from platevault.api.content_access import MODIFY, PRUNE, has_any, owns, require_group, require_owner, require_single, sees_all
from platevault.api.content_params import GroupParams, KeepParams, NsParams
from platevault.api.route import Call, Route
from platevault.api.types import Depth
from platevault.formats.names import GroupName, Namespace
from platevault.services.access import datastore_path
from platevault.services.local_zone import local_zone
from platevault.services.progress import Progress
from platevault.services.prune import plan_group, run_prune, run_prune_group
from platevault.services.prune_plan import Decision
from platevault.services.snapshots import owner_or_none


class GroupPrune(GroupParams, KeepParams):
    dry_run: bool = False
    use_task: bool = False


class DatastorePrune(NsParams, KeepParams):
    dry_run: bool = False
    max_depth: Depth | None = None


def prune(call: Call, p: GroupPrune) -> list[dict[str, Any]] | str:
    """Prune one group: what is kept and what was removed, oldest first; as a task, its UPID."""
    everything = sees_all(call, p.store, p.ns, [MODIFY], PRUNE)
    store = call.app.datastores.get(p.store, "read" if p.dry_run else "write")
    require_group(store, p.ns, p.group)
    if not everything:
        require_owner(call, store, p.ns, p.group)
    if p.dry_run:
        decisions = plan_group(store, p.ns, p.group, p.retention, zone=local_zone())
        return [_item(p.ns, decision, with_namespace=True) for decision in decisions]
    worker_id = f"{p.store}:{p.ns}:{p.group}"
    if p.use_task:
        return str(call.app.tasks.start("prune", worker_id, call.auth_id, partial(_run_group, call, p)))
    return _prune_here(call, p, worker_id)


def _run_group(call: Call, p: GroupPrune, task: Progress) -> list[Decision]:
    with call.app.datastores.operation(p.store, "write") as store:
        return run_prune_group(store, p.ns, p.group, p.retention, task, zone=local_zone())


def _prune_here(call: Call, p: GroupPrune, worker_id: str) -> list[dict[str, Any]]:
    """Prune in this thread; it shows up as a task all the same."""
    task = call.app.tasks.begin("prune", worker_id, call.auth_id)
    try:
        decisions = _run_group(call, p, task)
    except Exception as error:
        task.finish(str(error))
        raise
    task.finish()
    return [_item(p.ns, decision) for decision in decisions]


def _item(ns: Namespace, decision: Decision, *, with_namespace: bool = False) -> dict[str, Any]:
    name = decision.snapshot.name
    item: dict[str, Any] = {
        "backup-type": name.group.type.value,
        "backup-id": name.group.id,
        "backup-time": name.time,
        "keep": decision.keep,
        "protected": decision.protected,
    }
    return item | {"ns": str(ns)} if with_namespace and ns.depth else item


def prune_datastore(call: Call, p: DatastorePrune) -> str:
    """Prune all groups of a namespace and below, as a task; only own groups without Datastore.Modify."""
    require_single(call, datastore_path(p.store, p.ns), MODIFY, PRUNE)
    purpose: Literal["read", "write"] = "read" if p.dry_run else "write"
    store = call.app.datastores.get(p.store, purpose)

    def allowed(ns: Namespace, group: GroupName) -> bool:
        if has_any(call, p.store, ns, MODIFY):
            return True
        return has_any(call, p.store, ns, PRUNE) and owns(call, owner_or_none(store, ns, group))

    def run(task: Progress) -> None:
        depth = 7 if p.max_depth is None else p.max_depth
        with call.app.datastores.operation(p.store, purpose):
            run_prune(store, p.ns, p.retention, task, zone=local_zone(), max_depth=depth, dry_run=p.dry_run, allowed=allowed)

    return str(call.app.tasks.start("prune", f"{p.store}:{p.ns}", call.auth_id, run))


ROUTES = [
    Route("POST", "/admin/datastore/{store}/prune", prune, GroupPrune, priority="P0"),
    Route("POST", "/admin/datastore/{store}/prune-datastore", prune_datastore, DatastorePrune),
]
