"""Rows of the task table: one for each task that ever ran here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from platevault.config.database import Database
from platevault.config.identifiers import user_of
from platevault.config.tables import task
from platevault.formats.upid import Upid

PAGE_ROWS = 500
STORE_TYPES = frozenset({"backup", "prune", "prunejob", "garbage_collection"})


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task. Times in seconds since the epoch; `endtime` and `status` are None while it runs."""

    upid: str
    node: str
    pid: int
    pstart: int
    start: int
    worker_type: str
    worker_id: str | None
    auth_id: str
    endtime: int | None
    status: str | None

    @property
    def is_running(self) -> bool:
        return self.status is None

    @property
    def user(self) -> str:
        return user_of(self.auth_id)

    @property
    def outcome(self) -> str:
        """`ok`, `warning`, `error` or `unknown`."""
        if self.status == "OK":
            return "ok"
        if self.status is None or self.status == "unknown":
            return "unknown"
        return "warning" if self.status.startswith("WARNINGS: ") else "error"


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What a list shall hold (spec rest-api §7.3); None: all."""

    running: bool = False
    errors: bool = False
    store: str | None = None
    user_part: str | None = None
    type_part: str | None = None
    since: int | None = None
    until: int | None = None
    outcomes: Collection[str] | None = None

    def wants(self, row: TaskRow) -> bool:
        if row.is_running and self.outcomes is not None:
            return False
        if not row.is_running and (self.running or (self.errors and row.outcome == "ok")):
            return False
        if self.outcomes is not None and row.outcome not in self.outcomes:
            return False
        if self.store is not None and not concerns_store(row, self.store):
            return False
        if self.user_part is not None and self.user_part not in row.auth_id:
            return False
        return (self.type_part is None or self.type_part in row.worker_type) and self._in_window(row)

    def _in_window(self, row: TaskRow) -> bool:
        return not ((self.since is not None and row.start < self.since) or (self.until is not None and row.start > self.until))


def concerns_store(row: TaskRow, store: str) -> bool:
    """The store filter of task lists, as odd as it is documented."""
    worker_id = row.worker_id or ""
    if row.worker_type in STORE_TYPES:
        return worker_id == store or worker_id.startswith(f"{store}:")
    if row.worker_type.startswith("verif"):
        return worker_id.partition(":")[0] == store
    if row.worker_type == "syncjob":
        return [*worker_id.split(":"), "", "", ""][2] == store
    return False


class TaskRows:
    """The table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upid: Upid, also: Callable[[Connection], None] = lambda connection: None) -> None:
        """A new row. also: what has to happen in the same transaction; when it raises, there is no row."""
        with self._database.begin() as connection:
            also(connection)
            connection.execute(
                insert(task).values(
                    upid=str(upid),
                    node=upid.node,
                    pid=upid.pid,
                    pstart=upid.pstart,
                    start=upid.start,
                    worker_type=upid.worker_type,
                    worker_id=upid.worker_id,
                    auth_id=upid.auth_id,
                )
            )

    def end(self, upid: str, endtime: int, status: str) -> None:
        with self._database.begin() as connection:
            connection.execute(update(task).where(task.c.upid == upid).values(endtime=endtime, status=status))

    def find(self, upid: str) -> TaskRow | None:
        with self._database.read() as connection:
            row = connection.execute(_columns().where(task.c.upid == upid)).one_or_none()
        return _row(row) if row is not None else None

    def unfinished(self) -> list[TaskRow]:
        with self._database.read() as connection:
            return [_row(row) for row in connection.execute(_columns().where(task.c.endtime.is_(None)))]

    def page(self, wanted: TaskFilter, readable: Callable[[TaskRow], bool], *, start: int, limit: int) -> list[TaskRow]:
        """Rows in list order: running first, then finished, each newest first. limit 0: all."""
        found: list[TaskRow] = []
        for row in self._in_order(wanted):
            if not wanted.wants(row) or not readable(row):
                continue
            if start > 0:
                start -= 1
                continue
            found.append(row)
            if limit and len(found) >= limit:
                break
        return found

    def _in_order(self, wanted: TaskFilter) -> Iterator[TaskRow]:
        running = _columns().where(task.c.endtime.is_(None)).order_by(task.c.start.desc(), task.c.upid.desc())
        with self._database.read() as connection:
            yield from [_row(row) for row in connection.execute(running)]
        if wanted.running:
            return
        finished = _columns().where(task.c.endtime.is_not(None)).order_by(task.c.endtime.desc(), task.c.start.desc(), task.c.upid.desc())
        if wanted.since is not None:
            finished = finished.where(task.c.endtime >= wanted.since)
        with self._database.read() as connection:
            result = connection.execution_options(yield_per=PAGE_ROWS).execute(finished)
            for row in result:
                yield _row(row)

    def request_abort(self, upid: str) -> None:
        with self._database.begin() as connection:
            connection.execute(update(task).where(task.c.upid == upid, task.c.endtime.is_(None)).values(abort_requested=1))

    def abort_requests(self, upids: Collection[str]) -> list[str]:
        """Those of the given tasks that somebody wants to stop."""
        if not upids:
            return []
        with self._database.read() as connection:
            query = select(task.c.upid).where(task.c.endtime.is_(None), task.c.abort_requested == 1)
            return [str(row[0]) for row in connection.execute(query) if row[0] in upids]


def _columns() -> Select[Any]:
    c = task.c
    return select(c.upid, c.node, c.pid, c.pstart, c.start, c.worker_type, c.worker_id, c.auth_id, c.endtime, c.status)


def _row(row: Row[Any]) -> TaskRow:
    return TaskRow(*tuple(row))
