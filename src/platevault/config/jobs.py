"""Jobs as they are configured: prune, verification, sync (spec administration §2.6, §3.6, §4.2). None means not set."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.config.database import Database
from platevault.config.sections import Section

SYNC_OWNER = "root@pam"


@dataclass(frozen=True, slots=True)
class PruneJob:
    """Prunes every group of a namespace and below it by one retention."""

    id: str
    store: str
    schedule: str
    disable: bool | None = None
    comment: str | None = None
    keep_last: int | None = None
    keep_hourly: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None
    ns: str | None = None
    max_depth: int | None = None

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """Verifies a namespace and what is below it. `outdated_after` in days."""

    id: str
    store: str
    schedule: str | None = None
    comment: str | None = None
    ignore_verified: bool | None = None
    outdated_after: int | None = None
    ns: str | None = None
    max_depth: int | None = None
    read_threads: int | None = None
    verify_threads: int | None = None

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class SyncJob:
    """Copies groups between a local datastore and a remote or another local one. Rates are texts with a unit, e.g. `10 MiB`."""

    id: str
    store: str
    remote_store: str
    remote: str | None = None
    sync_direction: str | None = None
    schedule: str | None = None
    comment: str | None = None
    owner: str | None = None
    ns: str | None = None
    remote_ns: str | None = None
    max_depth: int | None = None
    remove_vanished: bool | None = None
    group_filter: list[str] | None = None
    rate_in: str | None = None
    burst_in: str | None = None
    rate_out: str | None = None
    burst_out: str | None = None
    transfer_last: int | None = None
    encrypted_only: bool | None = None
    verified_only: bool | None = None
    resync_corrupt: bool | None = None
    run_on_mount: bool | None = None
    unmount_on_done: bool | None = None
    worker_threads: int | None = None
    active_encryption_key: str | None = None
    associated_key: list[str] | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def is_push(self) -> bool:
        return self.sync_direction == "push"

    @property
    def acting_owner(self) -> str:
        """Owner of the groups that a pull writes, and whose rights count."""
        return self.owner or SYNC_OWNER


class PruneJobs(Section[PruneJob]):
    """All prune jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "prune", PruneJob, label="prune")


class VerifyJobs(Section[VerifyJob]):
    """All verification jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "verification", VerifyJob, label="verification")


class SyncJobs(Section[SyncJob]):
    """All sync jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "sync", SyncJob, label="sync")
