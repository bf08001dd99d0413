"""Garbage collection: start, and the figures of the last run."""

from __future__ import annotations

from typing import Any

from platevault.api.access_rules import needs
from platevault.api.content_access import AUDIT, MODIFY
from platevault.api.content_params import StoreParams
from platevault.api.parameters import Params
from platevault.api.route import Call, Route
from platevault.api.routes.datastores import gc_record
from platevault.api.store_access import seen_stores
from platevault.api.types import StoreName
from platevault.config.datastores import DatastoreConfig, tuning_of
from platevault.errors import PlatevaultError
from platevault.services.gc import CUTOFF_S, run_gc
from platevault.services.gc_status import GcStatus
from platevault.services.jobs import GARBAGE_COLLECTION
from platevault.services.tasks import Task


class StoreFilter(Params):
    store: StoreName | None = None


def gc_status(call: Call, p: StoreParams) -> dict[str, Any]:
    """Figures of the last garbage collection, and when the next one is due."""
    config = call.app.datastores.configs.get(p.store)
    call.app.datastores.get(p.store, "read")
    return _status(call, config)


def _status(call: Call, config: DatastoreConfig) -> dict[str, Any]:
    """The record GcJobStatus; of a datastore that cannot be read, without figures."""
    record: dict[str, Any] = {"store": config.name}
    try:
        record |= gc_record(call.app.datastores.get(config.name, "any"))
    except PlatevaultError:
        record |= GcStatus().record()
    last = call.app.jobs.last(GARBAGE_COLLECTION, config.name)
    optional = {
        "schedule": config.gc_schedule,
        "next-run": call.app.jobs.next_run(config.gc_schedule),
        "last-run-endtime": last.endtime if last else None,
        "last-run-state": last.state if last else None,
        "duration": last.duration_s if last else None,
    }
    return record | {key: value for key, value in optional.items() if value is not None}


def list_gc_status(call: Call, p: StoreFilter) -> list[dict[str, Any]]:
    """The same of all datastores that the caller may know of."""
    if p.store is not None:
        call.app.datastores.configs.get(p.store)
    return [_status(call, config) for config, _ in seen_stores(call) if p.store in (None, config.name)]


def one_gc_status(call: Call, p: StoreParams) -> list[dict[str, Any]]:
    """The same of one datastore, as a list."""
    return [_status(call, call.app.datastores.configs.get(p.store))]


def start_gc(call: Call, p: StoreParams) -> str:
    """Collect garbage, as a task."""
    datastores = call.app.datastores
    datastores.get(p.store, "write")
    tuning = tuning_of(datastores.configs.get(p.store))
    cutoff_s = int(tuning.get("gc-atime-cutoff", CUTOFF_S // 60)) * 60
    check_times = tuning.get("gc-atime-safety-check", "1").lower() in ("1", "on", "yes", "true")

    def run(task: Task) -> None:
        with datastores.operation(p.store, "write") as store:
            run_gc(store, task, clock=call.app.clock, upid=str(task.upid), cutoff_s=cutoff_s, check_times=check_times)

    running = "garbage collection already running"
    return str(call.app.jobs.start(GARBAGE_COLLECTION, p.store, p.store, call.auth_id, run, running=running))


_PATH = "/admin/datastore/{store}/gc"
_SEE = needs("/datastore/{store}", AUDIT)

ROUTES = [
    Route("GET", _PATH, gc_status, StoreParams, access=_SEE, priority="P0"),
    Route("POST", _PATH, start_gc, StoreParams, access=needs("/datastore/{store}", MODIFY), priority="P0"),
    Route("GET", "/admin/gc", list_gc_status, StoreFilter, priority="P0"),
    Route("GET", "/admin/gc/{store}", one_gc_status, StoreParams, access=_SEE, priority="P0"),
]
