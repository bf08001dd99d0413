"""`platevault task`: what the server on this machine does and did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.local_state import StateDirOption, local_database, local_settings
from platevault.cli.output import Column, OutputFormat, note, output

if TYPE_CHECKING:
    from platevault.services.task_rows import TaskRow
    from platevault.services.tasks import Tasks

app = typer.Typer(help="Tasks.", no_args_is_help=True)

UpidArgument = Annotated[str, typer.Argument(metavar="UPID", help="As `platevault task list` shows it.")]
FOLLOW_S = 1.0


@contextmanager
def local_tasks(state_dir: Path | None) -> Iterator[Tasks]:
    """Tasks of the server whose state lies in `state_dir`."""
    from platevault.clock import SystemClock
    from platevault.services.tasks import Tasks

    settings = local_settings(state_dir)
    with local_database(state_dir) as database:
        tasks = Tasks(database, SystemClock(), settings.node_name)
        try:
            yield tasks
        finally:
            tasks.close()


@app.command("list")
def list_tasks(
    limit: Annotated[int, typer.Option("--limit", help="Show at most so many.", min=1)] = 50,
    running: Annotated[bool, typer.Option("--running", help="Only those that run.")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="Only those that failed.")] = False,
    store: Annotated[str | None, typer.Option("--store", help="Only those of one datastore.", show_default=False)] = None,
    state_dir: StateDirOption = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Show tasks: those that run, then the others, newest first."""
    from platevault.services.task_rows import TaskFilter

    with local_tasks(state_dir) as tasks:
        found = tasks.rows.page(TaskFilter(running=running, errors=errors, store=store), lambda row: True, start=0, limit=limit)
    columns = [
        Column("starttime", "Started", _time),
        Column("endtime", "Ended", _time),
        Column("worker_type", "Type"),
        Column("worker_id", "Id"),
        Column("status", "Status"),
        Column("upid", "UPID"),
    ]
    output(chosen).table(columns, [_row(row) for row in found])


def _row(row: TaskRow) -> dict[str, object]:
    return {
        "upid": row.upid,
        "worker_type": row.worker_type,
        "worker_id": row.worker_id,
        "user": row.auth_id,
        "starttime": row.start,
        "endtime": row.endtime,
        "status": row.status or "running",
    }


def _time(epoch: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))


@app.command("log")
def show_log(
    upid: UpidArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more lines until the task ends.")] = False,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Print the log of a task."""
    with local_tasks(state_dir) as tasks:
        shown = _print_lines(tasks, upid, 0)
        while follow and tasks.is_running(upid):
            time.sleep(FOLLOW_S)
            shown = _print_lines(tasks, upid, shown)
        if follow:
            _print_lines(tasks, upid, shown)


def _print_lines(tasks: Tasks, upid: str, shown: int) -> int:
    """Print the lines behind the first `shown`; returns how many there are."""
    lines, count = tasks.log_lines(upid, shown + 1, 0)
    for _, text in lines:
        print(text)
    return count


@app.command()
def status(
    upid: UpidArgument, state_dir: StateDirOption = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False
) -> None:
    """Show what became of a task."""
    with local_tasks(state_dir) as tasks:
        row = _row(_known(tasks, upid))
    output(chosen).value(row, str(row["status"]))


@app.command()
def abort(upid: UpidArgument, state_dir: StateDirOption = None, verbose: VerboseOption = False) -> None:
    """Ask a running task to stop. An aborted backup leaves no snapshot."""
    with local_tasks(state_dir) as tasks:
        if not _known(tasks, upid).is_running:
            note("the task has ended already")
            return
        tasks.abort(upid)
    note("the task was asked to stop")


def _known(tasks: Tasks, upid: str) -> TaskRow:
    from platevault.services.tasks import NoSuchTask

    row = tasks.find(upid)
    if row is None:
        raise NoSuchTask(f"no such task '{upid[:128]}': `platevault task list` shows them")
    return row
