"""Tasks: list, status, log, stop.

Source: spec rest-api §7. Two spellings meet here: a list item has `worker_type` and `worker_id`, a status has `type` and `id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from platevault.api.content_access import require_single
from platevault.api.content_params import NodeParams
from platevault.api.envelope import encode
from platevault.api.route import Call, Kind, RawReply, Reply, Route
from platevault.api.task_access import may_read
from platevault.api.types import Integer, Natural, StoreName, UpidText
from platevault.config.identifiers import token_name, user_of
from platevault.errors import Invalid
from platevault.formats.upid import Upid
from platevault.services.task_rows import TaskFilter, TaskRow

PAGE_LINES = 1000


class TaskListParams(NodeParams):
    start: Natural = 0
    limit: Natural = 50
    running: bool = False
    errors: bool = False
    store: StoreName | None = None
    userfilter: str | None = None
    typefilter: str | None = None
    since: Integer | None = None
    until: Integer | None = None
    statusfilter: list[Literal["ok", "warning", "error", "unknown"]] | None = None

    @property
    def filter(self) -> TaskFilter:
        return TaskFilter(
            running=self.running,
            errors=self.errors,
            store=self.store,
            user_part=self.userfilter,
            type_part=self.typefilter,
            since=self.since,
            until=self.until,
            outcomes=self.statusfilter,
        )


class TaskParams(NodeParams):
    upid: UpidText


class LogParams(TaskParams):
    start: Natural = 0
    limit: Natural = 50
    test_status: bool = False
    download: bool = False


def list_tasks(call: Call, p: TaskListParams) -> Reply:
    """Tasks that the caller may read: running ones, then finished ones, newest first. total: so that a pager sees whether there is more."""
    rows = call.app.tasks.rows.page(p.filter, lambda row: may_read(call, row), start=p.start, limit=p.limit)
    is_full = p.limit > 0 and len(rows) == p.limit
    return Reply([_item(row) for row in rows], total=p.start + len(rows) + is_full)


def _item(row: TaskRow) -> dict[str, Any]:
    item: dict[str, Any] = {
        "upid": row.upid,
        "node": "localhost",
        "pid": row.pid,
        "pstart": row.pstart,
        "starttime": row.start,
        "worker_type": row.worker_type,
        "worker_id": row.worker_id,
        "user": row.auth_id,
    }
    return item if row.is_running else item | {"endtime": row.endtime, "status": row.status}


def status(call: Call, p: TaskParams) -> dict[str, Any]:
    """Whether a task runs, and how it ended; an unknown one has stopped in an unknown way."""
    row = _readable(call, p.upid)
    record: dict[str, Any] = {
        "upid": row.upid,
        "node": row.node,
        "pid": row.pid,
        "pstart": row.pstart,
        "starttime": row.start,
        "type": row.worker_type,
        "id": row.worker_id,
        "user": user_of(row.auth_id),
    }
    if (token := token_name(row.auth_id)) is not None:
        record["tokenid"] = token
    if row.is_running:
        return record | {"status": "running"}
    ended = {} if row.endtime is None else {"endtime": row.endtime}
    return record | {"status": "stopped", "exitstatus": row.status, **ended}


def _readable(call: Call, text: str) -> TaskRow:
    """The row of a task; of one that is not known, what its UPID says. Raises Invalid when the caller may not read it."""
    row = call.app.tasks.find(text)
    if row is None:
        upid = Upid.parse(text)
        row = TaskRow(
            upid=text,
            node=upid.node,
            pid=upid.pid,
            pstart=upid.pstart,
            start=upid.start,
            worker_type=upid.worker_type,
            worker_id=upid.worker_id,
            auth_id=upid.auth_id,
            endtime=None,
            status="unknown",
        )
    if not may_read(call, row):
        raise Invalid("task access not allowed")
    return row


def log(call: Call, p: LogParams) -> RawReply:
    """A page of the log, also while the task runs; download: all of it as a file."""
    row = _readable(call, p.upid)
    if p.download:
        return _download(call, p, row)
    lines, total = call.app.tasks.log_lines(p.upid, p.start, p.limit)
    answer: dict[str, Any] = {"data": [{"n": number, "t": text} for number, text in lines], "total": total, "success": 1}
    if p.test_status:
        answer["active"] = call.app.tasks.is_running(p.upid)
    return RawReply(encode(answer), "application/json")


def _download(call: Call, p: LogParams, row: TaskRow) -> RawReply:
    if p.model_fields_set & {"start", "limit", "test_status"}:
        raise Invalid("Parameter 'download' cannot be used with other parameters")
    begin = datetime.fromtimestamp(row.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = f"task-{row.node}-{row.worker_type}-{begin}.log"
    first = call.app.tasks.log_lines(p.upid, 1, PAGE_LINES)[0]
    return RawReply(_pages(call, p.upid, first), "text/plain", headers=(("content-disposition", f'attachment; filename="{name}"'),))


def _pages(call: Call, upid: str, lines: list[tuple[int, str]]) -> Iterator[bytes]:
    while lines:
        yield "".join(f"{text}\n" for _, text in lines).encode(errors="replace")
        lines = call.app.tasks.log_lines(upid, lines[-1][0] + 1, PAGE_LINES)[0]


def stop(call: Call, p: TaskParams) -> None:
    """Ask a task to stop; returns at once. A finished one stays as it is."""
    if Upid.parse(p.upid).auth_id != call.auth_id:
        require_single(call, "/system/tasks", "Sys.Modify")
    call.app.tasks.abort(p.upid)


_LIST = "/nodes/{node}/tasks"
_ONE = _LIST + "/{upid}"

ROUTES = [
    Route("GET", _LIST, list_tasks, TaskListParams, priority="P0"),
    Route("DELETE", _ONE, stop, TaskParams, priority="P0"),
    Route("GET", _ONE + "/status", status, TaskParams, priority="P0"),
    Route("GET", _ONE + "/log", log, LogParams, kind=Kind.RAW, priority="P0"),
]
