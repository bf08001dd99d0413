"""Prune jobs: configuration, state and runs."""

from __future__ import annotations

from typing import Any, Literal

from platevault.api import records
from platevault.api.content_access import AUDIT, MODIFY, require_single
from platevault.api.content_params import KeepParams
from platevault.api.job_answers import JobFilter, JobParams, JobRemoval, job_place, job_state, may_see, must_be_new
from platevault.api.parameters import NoParams
from platevault.api.route import Call, Reply, Route
from platevault.api.types import CalendarText, Comment, Depth, Digest, Id32, Ns, StoreName
from platevault.config.jobs import PruneJob
from platevault.formats.names import Namespace
from platevault.services.access import datastore_path
from platevault.services.jobs import PRUNE
from platevault.services.local_zone import local_zone
from platevault.services.prune import run_prune
from platevault.services.prune_plan import Retention
from platevault.services.tasks import Task

PLACE = "/config/prune"
SEEN_WITH = (AUDIT, MODIFY)
DEFAULTS = {"disable": False}
Deletable = Literal[
    "comment", "disable", "ns", "max-depth", "keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"
]


class JobSettings(KeepParams):
    id: Id32
    comment: Comment | None = None
    disable: bool | None = None
    ns: Ns | None = None
    max_depth: Depth | None = None


class NewJob(JobSettings):
    store: StoreName
    schedule: CalendarText


class JobUpdate(JobSettings):
    store: StoreName | None = None
    schedule: CalendarText | None = None
    delete: list[Deletable] | None = None
    digest: Digest | None = None


def list_jobs(call: Call, p: NoParams) -> Reply:
    """The jobs of the datastores and namespaces that the caller may look at."""
    jobs = call.app.jobs.prune
    return Reply([records.shown(job) for job in jobs.all() if may_see(call, job, SEEN_WITH)], digest=jobs.digest())


def get_job(call: Call, p: JobParams) -> Reply:
    """One job."""
    jobs = call.app.jobs.prune
    job = jobs.get(p.id)
    call.app.access.check_any(call.auth_id, job_place(job), SEEN_WITH)
    return Reply(records.shown(job), digest=jobs.digest())


def create_job(call: Call, p: NewJob) -> None:
    """Create a job."""
    require_single(call, datastore_path(p.store, p.ns), MODIFY)
    must_be_new(call.app.jobs.prune, p.id)
    call.app.jobs.prune.insert(PruneJob(**records.given(p, PruneJob, DEFAULTS)))


def update_job(call: Call, p: JobUpdate) -> None:
    """Change a job; what is not given stays. The caller needs the privilege where the job works now, and where it worked."""
    jobs = call.app.jobs.prune
    job = jobs.get(p.id)
    require_single(call, job_place(job), MODIFY)
    changed = records.updated(job, p, delete=p.delete, defaults=DEFAULTS)
    require_single(call, job_place(changed), MODIFY)
    jobs.update(changed, digest=p.digest)


def remove_job(call: Call, p: JobRemoval) -> None:
    """Remove a job."""
    jobs = call.app.jobs
    require_single(call, job_place(jobs.prune.get(p.id)), MODIFY)
    jobs.prune.delete(p.id, digest=p.digest)
    jobs.states.forget(PRUNE, p.id)


def list_states(call: Call, p: JobFilter) -> Reply:
    """The same list, with the last run and the next."""
    jobs = call.app.jobs.prune
    found = [job for job in jobs.all() if p.store in (None, job.store) and may_see(call, job, SEEN_WITH)]
    return Reply([_with_state(call, job) for job in found], digest=jobs.digest())


def _with_state(call: Call, job: PruneJob) -> dict[str, Any]:
    return records.shown(job) | job_state(call, PRUNE, job.id, None if job.disable else job.schedule)


def run_job(call: Call, p: JobParams) -> str:
    """Run a job now, as a task."""
    job = call.app.jobs.prune.get(p.id)
    require_single(call, job_place(job), MODIFY)
    datastores = call.app.datastores
    datastores.get(job.store, "write")
    ns = Namespace.parse(job.ns or "")
    retention = Retention(job.keep_last, job.keep_hourly, job.keep_daily, job.keep_weekly, job.keep_monthly, job.keep_yearly)

    def run(task: Task) -> None:
        task.log(f"prune job '{job.id}'")
        with datastores.operation(job.store, "write") as store:
            run_prune(store, ns, retention, task, zone=local_zone(), max_depth=7 if job.max_depth is None else job.max_depth)

    worker_id = f"{job.store}:{job.ns}" if job.ns else job.store
    return str(call.app.jobs.start(PRUNE, job.id, worker_id, call.auth_id, run, running=f"prune job '{job.id}' is already running"))


_ONE = PLACE + "/{id}"

ROUTES = [
    Route("GET", PLACE, list_jobs),
    Route("POST", PLACE, create_job, NewJob),
    Route("GET", _ONE, get_job, JobParams),
    Route("PUT", _ONE, update_job, JobUpdate),
    Route("DELETE", _ONE, remove_job, JobRemoval),
    Route("GET", "/admin/prune", list_states, JobFilter, priority="P0"),
    Route("POST", "/admin/prune/{id}/run", run_job, JobParams),
]
