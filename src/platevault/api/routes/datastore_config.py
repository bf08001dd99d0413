"""Configuration of datastores.

Source: spec rest-api §2.4, §10.9. Creation and removal are tasks. What the reference server takes and then cannot use (a wrong tuning
value, the maintenance mode `delete`) is refused at once.
"""

from __future__ import annotations

from typing import Literal

from platevault.api import records
from platevault.api.access_rules import needs
from platevault.api.content_access import AUDIT, MODIFY, has_any
from platevault.api.parameters import NoParams, Params, wrong
from platevault.api.route import Call, Reply, Route
from platevault.api.types import (
    AbsolutePath,
    CalendarText,
    Comment,
    Digest,
    MaintenanceText,
    NotifyText,
    Positive,
    StoreName,
    TuningText,
    UserId,
)
from platevault.config.datastores import DatastoreConfig, parse_maintenance
from platevault.errors import Invalid
from platevault.services.datastore_creation import run_create
from platevault.services.tasks import Task

PLACE = "/config/datastore"
DEFAULTS = {"verify_new": False, "gc_on_unmount": False}
MOVED_TO_JOBS = "datastore prune settings have been replaced by prune jobs"
Deletable = Literal[
    "comment",
    "gc-schedule",
    "gc-on-unmount",
    "prune-schedule",
    "keep-last",
    "keep-hourly",
    "keep-daily",
    "keep-weekly",
    "keep-monthly",
    "keep-yearly",
    "verify-new",
    "notify-user",
    "notify",
    "notification-mode",
    "tuning",
    "maintenance-mode",
    "notification-thresholds",
    "counter-reset-schedule",
]


class NameParams(Params):
    name: StoreName


class StoreSettings(NameParams):
    """What can be set at any time."""

    comment: Comment | None = None
    gc_schedule: CalendarText | None = None
    verify_new: bool | None = None
    notification_mode: Literal["legacy-sendmail", "notification-system"] | None = None
    notify: NotifyText | None = None
    notify_user: UserId | None = None
    tuning: TuningText | None = None
    maintenance_mode: MaintenanceText | None = None


class PruneSettings(Params):
    """Known for the sake of old clients: these belong to prune jobs."""

    prune_schedule: CalendarText | None = None
    keep_last: Positive | None = None
    keep_hourly: Positive | None = None
    keep_daily: Positive | None = None
    keep_weekly: Positive | None = None
    keep_monthly: Positive | None = None
    keep_yearly: Positive | None = None


class NewStore(StoreSettings, PruneSettings):
    path: AbsolutePath
    reuse_datastore: bool = False
    overwrite_in_use: bool = False
    backend: str | None = None
    backing_device: str | None = None


class StoreUpdate(StoreSettings, PruneSettings):
    delete: list[Deletable] | None = None
    digest: Digest | None = None


class StoreRemoval(NameParams):
    destroy_data: bool = False
    keep_job_configs: bool = False
    digest: Digest | None = None


def list_configs(call: Call, p: NoParams) -> Reply:
    """The configurations of the datastores on which the caller holds Datastore.Audit."""
    configs = call.app.datastores.configs
    found = [records.shown(config) for config in configs.all() if has_any(call, config.name, None, AUDIT)]
    return Reply(found, digest=configs.digest())


def get_config(call: Call, p: NameParams) -> Reply:
    """One configuration."""
    configs = call.app.datastores.configs
    return Reply(records.shown(configs.get(p.name)), digest=configs.digest())


def update_config(call: Call, p: StoreUpdate) -> None:
    """Change a configuration; what is not given stays."""
    for name in PruneSettings.model_fields:
        if getattr(p, name) is not None:
            raise wrong(name.replace("_", "-"), MOVED_TO_JOBS)
    configs = call.app.datastores.configs
    config = configs.get(p.name)
    _check_end_of_maintenance(config, p)
    configs.update(records.updated(config, p, delete=p.delete, defaults=DEFAULTS), digest=p.digest)


def _check_end_of_maintenance(config: DatastoreConfig, p: StoreUpdate) -> None:
    """A removal that has begun cannot be called back."""
    changes = p.maintenance_mode is not None or "maintenance-mode" in (p.delete or ())
    if changes and config.maintenance_mode and parse_maintenance(config.maintenance_mode).mode == "delete":
        raise Invalid("datastore is being deleted")


def create_store(call: Call, p: NewStore) -> str:
    """Make a datastore in an empty directory, or attach the one that is in it, as a task."""
    if p.backing_device is not None or p.backend not in (None, "filesystem", "type=filesystem"):
        raise Invalid("only datastores in a directory of the file system can be created in this version of Platevault")
    config = DatastoreConfig(**records.given(p, DatastoreConfig) | {"backend": None})
    if call.app.datastores.configs.find(config.name) is not None:
        raise wrong("name", f"datastore '{config.name}' already exists.")
    retention = {name: getattr(p, name) for name in PruneSettings.model_fields if getattr(p, name) is not None}

    def run(task: Task) -> None:
        run_create(call.app.datastores, call.app.jobs, config, task, reuse=p.reuse_datastore, retention=retention)

    return str(call.app.tasks.start("create-datastore", config.name, call.auth_id, run))


def remove_store(call: Call, p: StoreRemoval) -> Reply:
    """Forget a datastore, or destroy its content, too, as a task."""
    configs = call.app.datastores.configs
    configs.get(p.name)
    digest = configs.digest()

    def run(task: Task) -> None:
        task.log(f"Removing datastore '{p.name}' from the configuration" + (" and destroying its data" if p.destroy_data else ""))
        call.app.datastores.remove(p.name, destroy=p.destroy_data)
        call.app.series.forget([f"datastore/{p.name}"])
        if not p.keep_job_configs:
            call.app.jobs.forget_store(p.name)
            call.app.accounts.acl.delete_where(lambda entry: f"{entry.path}/".startswith(f"/datastore/{p.name}/"))

    if p.digest is not None and p.digest != digest:
        raise Invalid("detected modified configuration - file changed by other user? Try again.")
    return Reply(str(call.app.tasks.start("delete-datastore", p.name, call.auth_id, run)), digest=digest)


_ONE = PLACE + "/{name}"

ROUTES = [
    Route("GET", PLACE, list_configs),
    Route("POST", PLACE, create_store, NewStore, access=needs("/datastore", "Datastore.Allocate")),
    Route("GET", _ONE, get_config, NameParams, access=needs("/datastore/{name}", AUDIT)),
    Route("PUT", _ONE, update_config, StoreUpdate, access=needs("/datastore/{name}", MODIFY)),
    Route("DELETE", _ONE, remove_store, StoreRemoval, access=needs("/datastore/{name}", "Datastore.Allocate"), missing=404),
]
