"""Sync jobs: configuration and state. They are kept, shown and checked here; running them comes with remotes.

Source: spec rest-api §6.5 (SYNC-READ, SYNC-MODIFY), §10.10, administration §4.2.
"""

from __future__ import annotations

from typing import Any, Literal

from platevault.api import records
from platevault.api.job_answers import JobParams, JobRemoval, job_state, must_be_new
from platevault.api.parameters import Params
from platevault.api.route import Call, Reply, Route
from platevault.api.sync_access import may_change, may_read
from platevault.api.types import AuthId, ByteSize, CalendarText, Comment, Depth, Digest, GroupFilter, Id32, Ns, Positive, StoreName, Threads
from platevault.config.jobs import SyncJob
from platevault.errors import Invalid, NotFound
from platevault.formats.names import MAX_NAMESPACE_DEPTH, Namespace
from platevault.services.jobs import SYNC

PLACE = "/config/sync"
Direction = Literal["pull", "push"]
Deletable = Literal[
    "remote",
    "owner",
    "comment",
    "schedule",
    "remove-vanished",
    "group-filter",
    "rate-in",
    "burst-in",
    "rate-out",
    "burst-out",
    "ns",
    "remote-ns",
    "max-depth",
    "transfer-last",
    "encrypted-only",
    "verified-only",
    "run-on-mount",
    "unmount-on-done",
    "sync-direction",
    "worker-threads",
    "active-encryption-key",
    "associated-key",
]


class DirectionFilter(Params):
    sync_direction: Literal["all", "pull", "push"] = "pull"


class StateFilter(DirectionFilter):
    store: StoreName | None = None


class JobSettings(Params):
    id: Id32
    remote: Id32 | None = None
    sync_direction: Direction | None = None
    schedule: CalendarText | None = None
    comment: Comment | None = None
    owner: AuthId | None = None
    ns: Ns | None = None
    remote_ns: Ns | None = None
    max_depth: Depth | None = None
    remove_vanished: bool | None = None
    group_filter: list[GroupFilter] | None = None
    rate_in: ByteSize | None = None
    burst_in: ByteSize | None = None
    rate_out: ByteSize | None = None
    burst_out: ByteSize | None = None
    transfer_last: Positive | None = None
    encrypted_only: bool | None = None
    verified_only: bool | None = None
    resync_corrupt: bool | None = None
    run_on_mount: bool | None = None
    unmount_on_done: bool | None = None
    worker_threads: Threads | None = None
    active_encryption_key: Id32 | None = None
    associated_key: list[Id32] | None = None


class NewJob(JobSettings):
    store: StoreName
    remote_store: Id32


class JobUpdate(JobSettings):
    store: StoreName | None = None
    remote_store: Id32 | None = None
    delete: list[Deletable] | None = None
    digest: Digest | None = None


def list_jobs(call: Call, p: DirectionFilter) -> Reply:
    """The jobs that the caller may look at, of one direction."""
    jobs = call.app.jobs.sync
    return Reply([records.shown(job) for job in _seen(call, p)], digest=jobs.digest())


def _seen(call: Call, p: DirectionFilter) -> list[SyncJob]:
    return [job for job in call.app.jobs.sync.all() if p.sync_direction in ("all", job.sync_direction or "pull") and may_read(call, job)]


def get_job(call: Call, p: JobParams) -> Reply:
    """One job."""
    jobs = call.app.jobs.sync
    job = jobs.get(p.id)
    if not may_read(call, job):
        raise Invalid("permission check failed")
    return Reply(records.shown(job), digest=jobs.digest())


def create_job(call: Call, p: NewJob) -> None:
    """Create a job. Its remote need not exist yet."""
    job = SyncJob(**records.given(p, SyncJob))
    _check(call, job)
    must_be_new(call.app.jobs.sync, p.id)
    call.app.jobs.sync.insert(job)


def _check(call: Call, job: SyncJob) -> None:
    """Raises Invalid for a job that the caller may not have, or that makes no sense."""
    if not may_change(call, job):
        raise Invalid("permission check failed")
    if job.remote is None and job.remote_store == job.store:
        raise Invalid("source and target datastore can't be the same")
    if job.is_push and job.resync_corrupt:
        raise Invalid("push jobs do not support resync-corrupt option")
    if not job.is_push and job.active_encryption_key:
        raise Invalid("pull jobs have no active encryption key: decryption keys are associated keys")
    if job.unmount_on_done and not job.run_on_mount:
        raise Invalid("unmount-on-done needs run-on-mount")
    for ns in (job.ns, job.remote_ns):
        if Namespace.parse(ns or "").depth + (job.max_depth or 0) > MAX_NAMESPACE_DEPTH:
            raise Invalid(f"namespace and max-depth together are deeper than {MAX_NAMESPACE_DEPTH}")


def update_job(call: Call, p: JobUpdate) -> None:
    """Change a job; what is not given stays. A key that is no longer the active one is kept as an associated one."""
    jobs = call.app.jobs.sync
    job = jobs.get(p.id)
    if not may_change(call, job):
        raise Invalid("permission check failed")
    changed = records.updated(job, p, delete=p.delete)
    _check(call, changed)
    jobs.update(_with_old_key(job, changed), digest=p.digest)


def _with_old_key(job: SyncJob, changed: SyncJob) -> SyncJob:
    old = job.active_encryption_key
    if old is None or old == changed.active_encryption_key or old in (changed.associated_key or ()):
        return changed
    return records.with_fields(changed, associated_key=[*(changed.associated_key or ()), old])


def remove_job(call: Call, p: JobRemoval) -> None:
    """Remove a job."""
    jobs = call.app.jobs
    job = jobs.sync.find(p.id)
    if job is None:
        raise NotFound(f"job '{p.id}' does not exist.")
    if not may_change(call, job):
        raise Invalid("permission check failed")
    jobs.sync.delete(p.id, digest=p.digest)
    jobs.states.forget(SYNC, p.id)


def list_states(call: Call, p: StateFilter) -> Reply:
    """The same list, with the last run and the next."""
    found = [job for job in _seen(call, p) if p.store in (None, job.store)]
    return Reply([_with_state(call, job) for job in found], digest=call.app.jobs.sync.digest())


def _with_state(call: Call, job: SyncJob) -> dict[str, Any]:
    return records.shown(job) | job_state(call, SYNC, job.id, job.schedule)


_ONE = PLACE + "/{id}"

ROUTES = [
    Route("GET", PLACE, list_jobs, DirectionFilter),
    Route("POST", PLACE, create_job, NewJob),
    Route("GET", _ONE, get_job, JobParams),
    Route("PUT", _ONE, update_job, JobUpdate),
    Route("DELETE", _ONE, remove_job, JobRemoval, missing=404),
    Route("GET", "/admin/sync", list_states, StateFilter, priority="P0"),
]
