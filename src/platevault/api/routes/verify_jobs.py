"""Verification jobs: configuration, state and runs."""

from __future__ import annotations

from typing import Any, Literal

from platevault.api import records
from platevault.api.content_access import AUDIT, VERIFY, require_single
from platevault.api.job_answers import JobFilter, JobParams, JobRemoval, job_place, job_state, may_see, must_be_new
from platevault.api.parameters import NoParams, Params
from platevault.api.route import Call, Reply, Route
from platevault.api.types import CalendarText, Comment, Depth, Digest, Id32, Natural, Ns, StoreName, Threads
from platevault.config.datastores import verification_workers
from platevault.config.jobs import VerifyJob
from platevault.formats.names import Namespace
from platevault.services.access import datastore_path
from platevault.services.jobs import VERIFICATION
from platevault.services.tasks import Task
from platevault.services.verify import Selection, run_verify, targets_below

PLACE = "/config/verify"
SEEN_WITH = (AUDIT, VERIFY)
Deletable = Literal["ignore-verified", "comment", "schedule", "outdated-after", "ns", "max-depth", "read-threads", "verify-threads"]


class JobSettings(Params):
    id: Id32
    schedule: CalendarText | None = None
    comment: Comment | None = None
    ignore_verified: bool | None = None
    outdated_after: Natural | None = None
    ns: Ns | None = None
    max_depth: Depth | None = None
    read_threads: Threads | None = None
    verify_threads: Threads | None = None


class NewJob(JobSettings):
    store: StoreName


class JobUpdate(JobSettings):
    store: StoreName | None = None
    delete: list[Deletable] | None = None
    digest: Digest | None = None


def list_jobs(call: Call, p: NoParams) -> Reply:
    """The jobs of the datastores and namespaces that the caller may look at."""
    jobs = call.app.jobs.verification
    return Reply([records.shown(job) for job in jobs.all() if may_see(call, job, SEEN_WITH)], digest=jobs.digest())


def get_job(call: Call, p: JobParams) -> Reply:
    """One job."""
    jobs = call.app.jobs.verification
    job = jobs.get(p.id)
    call.app.access.check_any(call.auth_id, job_place(job), SEEN_WITH)
    return Reply(records.shown(job), digest=jobs.digest())


def create_job(call: Call, p: NewJob) -> None:
    """Create a job; without a schedule it runs only when it is told to."""
    require_single(call, datastore_path(p.store, p.ns), VERIFY)
    must_be_new(call.app.jobs.verification, p.id)
    call.app.jobs.verification.insert(VerifyJob(**records.given(p, VerifyJob)))


def update_job(call: Call, p: JobUpdate) -> None:
    """Change a job; what is not given stays. The caller needs the privilege where the job works now, and where it worked."""
    jobs = call.app.jobs.verification
    job = jobs.get(p.id)
    require_single(call, job_place(job), VERIFY)
    changed = records.updated(job, p, delete=p.delete)
    require_single(call, job_place(changed), VERIFY)
    jobs.update(changed, digest=p.digest)


def remove_job(call: Call, p: JobRemoval) -> None:
    """Remove a job."""
    jobs = call.app.jobs
    require_single(call, job_place(jobs.verification.get(p.id)), VERIFY)
    jobs.verification.delete(p.id, digest=p.digest)
    jobs.states.forget(VERIFICATION, p.id)


def list_states(call: Call, p: JobFilter) -> Reply:
    """The same list, with the last run and the next."""
    jobs = call.app.jobs.verification
    found = [job for job in jobs.all() if p.store in (None, job.store) and may_see(call, job, SEEN_WITH)]
    return Reply([_with_state(call, job) for job in found], digest=jobs.digest())


def _with_state(call: Call, job: VerifyJob) -> dict[str, Any]:
    return records.shown(job) | job_state(call, VERIFICATION, job.id, job.schedule)


def run_job(call: Call, p: JobParams) -> str:
    """Run a job now, as a task."""
    job = call.app.jobs.verification.get(p.id)
    require_single(call, job_place(job), VERIFY)
    datastores = call.app.datastores
    datastores.get(job.store, "read")
    selection = Selection(job.ignore_verified is not False, job.outdated_after)

    def run(task: Task) -> None:
        with datastores.operation(job.store, "read") as store:
            depth = 7 if job.max_depth is None else job.max_depth
            targets = targets_below(store, Namespace.parse(job.ns or ""), max_depth=depth)
            workers = verification_workers(datastores.configs.get(job.store), job.verify_threads)
            run_verify(store, targets, task, upid=str(task.upid), clock=call.app.clock, selection=selection, workers=workers)

    running = f"verification job '{job.id}' is already running"
    return str(call.app.jobs.start(VERIFICATION, job.id, f"{job.store}:{job.id}", call.auth_id, run, running=running))


_ONE = PLACE + "/{id}"

ROUTES = [
    Route("GET", PLACE, list_jobs),
    Route("POST", PLACE, create_job, NewJob),
    Route("GET", _ONE, get_job, JobParams),
    Route("PUT", _ONE, update_job, JobUpdate),
    Route("DELETE", _ONE, remove_job, JobRemoval),
    Route("GET", "/admin/verify", list_states, JobFilter, priority="P0"),
    Route("POST", "/admin/verify/{id}/run", run_job, JobParams),
]
