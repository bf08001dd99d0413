"""Last runs of jobs: what the lists show as `last-run-…`, and the claim that lets a job run once at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from platevault.config.database import Database
from platevault.config.tables import job_state


@dataclass(frozen=True, slots=True)
class JobState:
    """Outcome of the last run: UPID, exit text, end in seconds since the epoch. Without an end it runs, or its process died."""

    upid: str | None
    state: str | None
    endtime: int | None


class JobStates:
    """By kind of job (e.g. `garbage_collection`) and id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, kind: str, key: str) -> JobState | None:
        with self._database.read() as connection:
            return _find(connection, kind, key)

    def record(self, kind: str, key: str, state: JobState) -> None:
        """Replace what is known."""
        with self._database.begin() as connection:
            _replace(connection, kind, key, state)

    def forget(self, kind: str, key: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(job_state).where(job_state.c.kind == kind, job_state.c.id == key))


def claim(connection: Connection, kind: str, key: str, upid: str, *, is_free: Callable[[str], bool]) -> bool:
    """Note in this transaction that `upid` runs the job; False when another run has it. is_free: says whether a run is over."""
    found = _find(connection, kind, key, lock=True)
    if found is not None and found.endtime is None and found.upid is not None and not is_free(found.upid):
        return False
    _replace(connection, kind, key, JobState(upid, None, None))
    return True


def _find(connection: Connection, kind: str, key: str, *, lock: bool = False) -> JobState | None:
    query = select(job_state.c.upid, job_state.c.state, job_state.c.endtime).where(job_state.c.kind == kind, job_state.c.id == key)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return JobState(row[0], row[1], row[2]) if row else None


def _replace(connection: Connection, kind: str, key: str, state: JobState) -> None:
    connection.execute(delete(job_state).where(job_state.c.kind == kind, job_state.c.id == key))
    connection.execute(insert(job_state).values(kind=kind, id=key, upid=state.upid, state=state.state, endtime=state.endtime))
