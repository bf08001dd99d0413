"""Datastores with their figures: the list, status, curves, running operations, usage."""

from __future__ import annotations

from typing import Any, Literal

from platevault.api.access_rules import needs
from platevault.api.content_access import AUDIT, BACKUP, has_any, owns
from platevault.api.content_params import StoreParams
from platevault.api.parameters import NoParams, Params
from platevault.api.route import Call, Route
from platevault.api.statuses import Refused
from platevault.api.store_access import Sight, seen_stores, sight_of
from platevault.config.datastores import DatastoreConfig
from platevault.errors import PlatevaultError
from platevault.formats.names import ROOT, BackupType
from platevault.services.gc_status import GcStatus
from platevault.services.snapshots import owner_or_none
from platevault.services.usage import series_name
from platevault.store.datastore import Datastore

KIND = {"mount-status": "nonremovable", "backend-type": "filesystem"}  # there are no others yet


class StatusParams(StoreParams):
    verbose: bool = False


class CurveParams(Params):
    timeframe: Literal["hour", "day", "week", "month", "year", "decade"]
    cf: Literal["MAX", "AVERAGE"]


class StoreCurveParams(StoreParams, CurveParams):
    pass


def list_datastores(call: Call, p: NoParams) -> list[dict[str, Any]]:
    """The datastores that the caller may know of."""
    return [_item(config, sight) for config, sight in seen_stores(call)]


def _item(config: DatastoreConfig, sight: Sight) -> dict[str, Any]:
    item: dict[str, Any] = {"store": config.name, "comment": config.comment if sight is Sight.FULL else None, **KIND}
    if config.maintenance_mode is not None:
        item["maintenance"] = config.maintenance_mode
    return item


def status(call: Call, p: StatusParams) -> dict[str, Any]:
    """Space of a datastore; verbose: what is in it, and its last garbage collection. Zeros for who may know only that it exists."""
    sight = sight_of(call, p.store)
    if sight is Sight.NOTHING:
        raise Refused("permission check failed")
    store = call.app.datastores.get(p.store, "read")
    if sight is Sight.NAME:
        return {"total": 0, "used": 0, "avail": 0, "backend-type": KIND["backend-type"]}
    record: dict[str, Any] = {**_space(store), "backend-type": KIND["backend-type"]}
    if p.verbose:
        record |= {"counts": _counts(call, store), "gc-status": gc_record(store)}
    return record


def _space(store: Datastore) -> dict[str, int]:
    space = store.space()
    return {"total": space.total, "used": space.used, "avail": space.available}


def gc_record(store: Datastore) -> dict[str, Any]:
    """The record GcStatus."""
    return GcStatus.from_record(store.load_gc_status()).record()


def _counts(call: Call, store: Datastore) -> dict[str, dict[str, int] | None]:
    """Groups that have snapshots, and the snapshots, of all namespaces by type; without Datastore.Audit only own ones."""
    counts: dict[str, dict[str, int] | None] = dict.fromkeys([*(kind.value for kind in BackupType), "other"])
    everything = has_any(call, store.name, None, AUDIT)
    for ns in store.namespaces(ROOT):
        for group in store.groups(ns):
            number = len(store.snapshots(ns, group))
            if number and (everything or owns(call, owner_or_none(store, ns, group))):
                kind = counts[group.type.value] or {"groups": 0, "snapshots": 0}
                counts[group.type.value] = {"groups": kind["groups"] + 1, "snapshots": kind["snapshots"] + number}
    return counts


def curves(call: Call, p: StoreCurveParams) -> list[dict[str, float]]:
    """Space of a datastore over time; a step without samples has its time alone."""
    call.app.datastores.configs.get(p.store)
    return call.app.series.window(series_name(p.store), p.timeframe, call.app.clock.now(), largest=p.cf == "MAX")


def active_operations(call: Call, p: StoreParams) -> dict[str, int]:
    """How many reads and writes run."""
    call.app.datastores.configs.get(p.store)
    active = call.app.datastores.active(p.store)
    return {"read": active.read, "write": active.write}


def usage(call: Call, p: NoParams) -> list[dict[str, Any]]:
    """How full the datastores are, and when they will be full."""
    return [_usage(call, config, sight) for config, sight in seen_stores(call)]


def _usage(call: Call, config: DatastoreConfig, sight: Sight) -> dict[str, Any]:
    item: dict[str, Any] = {"store": config.name, **KIND}
    if sight is not Sight.FULL:
        return item
    try:
        store = call.app.datastores.get(config.name, "read")
        figures = {**_space(store), "gc-status": gc_record(store)}
    except PlatevaultError as error:
        return item | {"error": error.message}
    return item | figures | call.app.usage.history(config.name)


_PATH = "/admin/datastore/{store}"
_SEE = needs("/datastore/{store}", AUDIT, BACKUP)

ROUTES = [
    Route("GET", "/admin/datastore", list_datastores, priority="P0"),
    Route("GET", _PATH + "/status", status, StatusParams, priority="P0"),
    Route("GET", _PATH + "/rrd", curves, StoreCurveParams, access=_SEE, priority="P0"),
    Route("GET", _PATH + "/active-operations", active_operations, StoreParams, access=needs("/datastore/{store}", AUDIT)),
    Route("GET", "/status/datastore-usage", usage, priority="P0"),
]
