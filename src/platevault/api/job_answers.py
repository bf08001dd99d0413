"""What the job endpoints have in common: who sees a job, its state in a list, its id in a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from platevault.api.parameters import Params, wrong
from platevault.api.route import Call
from platevault.api.types import Digest, Id32, StoreName
from platevault.config.sections import Section
from platevault.formats.names import Namespace
from platevault.services.access import datastore_path


class StoreJob(Protocol):
    """A job that works in a namespace of a datastore."""

    @property
    def store(self) -> str: ...

    @property
    def ns(self) -> str | None: ...


class JobParams(Params):
    id: Id32


class JobRemoval(JobParams):
    digest: Digest | None = None


class JobFilter(Params):
    store: StoreName | None = None


def job_place(job: StoreJob) -> str:
    """The ACL path of the place in which a job works."""
    return datastore_path(job.store, Namespace.parse(job.ns or ""))


def may_see(call: Call, job: StoreJob, privileges: Sequence[str]) -> bool:
    return call.app.access.has_any(call.auth_id, job_place(job), privileges)


def must_be_new(section: Section[Any], job_id: str) -> None:
    """Raises WrongParameters for the id of a job that exists."""
    if section.find(job_id) is not None:
        raise wrong("id", f"job '{job_id}' already exists.")


def job_state(call: Call, kind: str, job_id: str, schedule: str | None) -> dict[str, Any]:
    """The fields of the record JobStatus; what is not known is left out. schedule: None for a job that does not run by itself."""
    last = call.app.jobs.last(kind, job_id)
    found = {
        "next-run": call.app.jobs.next_run(schedule),
        "last-run-state": last.state if last else None,
        "last-run-upid": last.upid if last else None,
        "last-run-endtime": last.endtime if last else None,
    }
    return {key: value for key, value in found.items() if value is not None}
