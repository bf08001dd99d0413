"""Last runs of jobs: what the lists show as `last-run-…`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from platevault.config.database import Database
from platevault.config.tables import job_state


@dataclass(frozen=True, slots=True)
class JobState:
    """Outcome of the last run: UPID, exit text, end in seconds since the epoch."""

    upid: str | None
    state: str | None
    endtime: int | None


class JobStates:
    """By kind of job (e.g. `garbage_collection`) and id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, kind: str, key: str) -> JobState | None:
        with self._database.read() as connection:
            query = select(job_state.c.upid, job_state.c.state, job_state.c.endtime)
            row = connection.execute(query.where(job_state.c.kind == kind, job_state.c.id == key)).one_or_none()
        return JobState(row[0], row[1], row[2]) if row else None

    def record(self, kind: str, key: str, state: JobState) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(job_state).where(job_state.c.kind == kind, job_state.c.id == key))
            connection.execute(insert(job_state).values(kind=kind, id=key, upid=state.upid, state=state.state, endtime=state.endtime))

    def forget(self, kind: str, key: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(job_state).where(job_state.c.kind == kind, job_state.c.id == key))
