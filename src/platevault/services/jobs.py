"""Jobs: what is configured to run again and again, when it last ran, when it is due, and that it never runs twice at a time.

Source: spec administration §5.7. Garbage collection counts as the job of its datastore. The last run is known by its UPID; how it
ended is noted when it has ended, and until then, or when the process died before, the task itself tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from platevault.clock import Clock
from platevault.config.database import Database
from platevault.config.job_states import JobState, JobStates, claim
from platevault.config.jobs import PruneJobs, SyncJobs, VerifyJobs
from platevault.config.sections import Record, Section
from platevault.errors import Conflict
from platevault.formats import calendar
from platevault.formats.upid import Upid
from platevault.services.local_zone import local_zone
from platevault.services.tasks import Task, Tasks

GARBAGE_COLLECTION = "garbage_collection"
PRUNE = "prunejob"
VERIFICATION = "verificationjob"
SYNC = "syncjob"


class Job(Record, Protocol):
    """What all configured jobs have."""

    @property
    def store(self) -> str: ...


J = TypeVar("J", bound=Job)


class AlreadyRunning(Conflict):
    """The job runs already. Facts: `kind`, `id`."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a job: its UPID; exit text and end in seconds since the epoch are None while it runs."""

    upid: str
    state: str | None
    endtime: int | None

    @property
    def duration_s(self) -> int | None:
        """From start to end; None while it runs."""
        return None if self.endtime is None else self.endtime - Upid.parse(self.upid).start


class Jobs:
    """Configured jobs and their runs. Safe to use from several threads and processes; all state is in the database."""

    def __init__(self, database: Database, tasks: Tasks, clock: Clock) -> None:
        self.prune = PruneJobs(database)
        self.verification = VerifyJobs(database)
        self.sync = SyncJobs(database)
        self.states = JobStates(database)
        self._tasks, self._clock = tasks, clock

    def start(self, kind: str, key: str, worker_id: str, auth_id: str, run: Callable[[Task], object], *, running: str) -> Upid:
        """Run a job as a task of the type `kind`; returns at once. Raises AlreadyRunning with the text `running`."""

        def take(connection: Connection, upid: str) -> None:
            if not claim(connection, kind, key, upid, is_free=lambda other: not self._tasks.is_running(other)):
                raise AlreadyRunning(running, kind=kind, id=key)

        def ended(upid: Upid, status: str) -> None:
            self._note_end(kind, key, str(upid), status)

        return self._tasks.start(kind, worker_id, auth_id, run, on_end=ended, claim=take)

    def _note_end(self, kind: str, key: str, upid: str, status: str) -> None:
        """Note the end, unless the job was removed or has begun anew meanwhile."""
        row, known = self._tasks.find(upid), self.states.find(kind, key)
        if known is not None and known.upid == upid:
            self.states.record(kind, key, JobState(upid, status, row.endtime if row else int(self._clock.now())))

    def last(self, kind: str, key: str) -> LastRun | None:
        """The last run; None when there was none."""
        known = self.states.find(kind, key)
        if known is None or known.upid is None:
            return None
        if known.endtime is not None:
            return LastRun(known.upid, known.state, known.endtime)
        row = self._tasks.find(known.upid)
        return LastRun(known.upid, row.status, row.endtime) if row else LastRun(known.upid, "unknown", None)

    def next_run(self, schedule: str | None) -> int | None:
        """The next time that a schedule names, in seconds since the epoch; None without one."""
        return calendar.parse(schedule).next_after(int(self._clock.now()), local_zone()) if schedule else None

    def forget_store(self, store: str) -> None:
        """Remove the jobs of a datastore and what is known of their runs."""
        self.states.forget(GARBAGE_COLLECTION, store)
        self._forget(PRUNE, self.prune, store)
        self._forget(VERIFICATION, self.verification, store)
        self._forget(SYNC, self.sync, store)

    def _forget(self, kind: str, section: Section[J], store: str) -> None:
        for job in section.all():
            if job.store == store:
                section.delete(job.key)
                self.states.forget(kind, job.key)
