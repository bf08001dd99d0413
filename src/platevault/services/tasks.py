"""Tasks: long work with a log, known by its UPID (spec rest-api §7).

A task runs in a thread of its own (`start`), or in the thread of a session (`begin`). Rows and log lines live in the state
database; lines are collected and written several times a second, and at once when somebody reads the log. A task whose process
has died is shown as stopped with status `unknown`, never as running. Trouble with the state database never ends the work itself: what
could not be written is tried again.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection

from platevault.clock import Clock
from platevault.config.database import Database
from platevault.errors import Aborted, NotFound, PlatevaultError
from platevault.formats.upid import Upid
from platevault.services.process_start import process_start
from platevault.services.task_log import LogWriter, stamp, writable
from platevault.services.task_rows import TaskRow, TaskRows

log = logging.getLogger(__name__)

ABORTED = "abort requested - aborting task"
ORPHAN_LOOK_TICKS = 20  # of the log writer, so every ten seconds
_numbers = itertools.count(1)  # of the process: a task id is unique within it


class NoSuchTask(NotFound):
    """Nothing is known of this UPID."""


class Task:
    """A running task as its work sees it. Safe to use from several threads."""

    def __init__(
        self, upid: Upid, writer: LogWriter, clock: Clock, done: Callable[[Task, str], None], on_abort: Callable[[], None]
    ) -> None:
        self.upid = upid
        self._writer, self._clock, self._done, self._on_abort = writer, clock, done, on_abort
        self._abort = threading.Event()
        self._lock = threading.Lock()
        self._finished = False
        self.warnings = 0

    def log(self, text: str) -> None:
        """Add lines to the log; a line of its own for each line of the text."""
        moment = stamp(self._clock.now())
        for line in text.splitlines() or [""]:
            self._writer.add(str(self.upid), f"{moment}: {line}")

    def warn(self, text: str) -> None:
        """A line that also counts: the task ends with WARNINGS."""
        with self._lock:
            self.warnings += 1
        self.log(f"WARN: {text}")

    @property
    def abort_requested(self) -> bool:
        return self._abort.is_set()

    def check_abort(self) -> None:
        """Raises Aborted when somebody asked for the task to stop."""
        if self._abort.is_set():
            raise Aborted(ABORTED)

    def request_abort(self) -> None:
        """Ask it to stop; returns at once."""
        self._abort.set()
        self._on_abort()

    def finish(self, error: str | None = None) -> str:
        """End it, once; returns the status. `error`: one line, None for success."""
        with self._lock:
            if self._finished:
                return ""
            self._finished = True
        status = error or (f"WARNINGS: {self.warnings}" if self.warnings else "OK")
        status = writable(" ".join(status.split()))
        self.log(f"TASK {status}" if error is None else f"TASK ERROR: {status}")
        self._done(self, status)
        return status


class Tasks:
    """All tasks of this state database; `_lock` protects the lists of those of this process."""

    def __init__(self, database: Database, clock: Clock, node: str) -> None:
        self._clock, self._node = clock, node
        self._pid, self._pstart = os.getpid(), process_start(os.getpid()) or 0
        self._ticks = itertools.count(1)
        self._lock = threading.Lock()
        self._unwritten: list[tuple[str, int, str]] = []  # ends that the database did not take yet
        self._running: dict[str, Task] = {}
        self.rows = TaskRows(database)
        self._writer = LogWriter(database, self._now_and_then)
        self._end_orphans()

    # --- running ---

    def begin(
        self,
        worker_type: str,
        worker_id: str | None,
        auth_id: str,
        on_abort: Callable[[], None] = lambda: None,
        *,
        claim: Callable[[Connection, str], None] = lambda connection, upid: None,
    ) -> Task:
        """A task whose work is done by the caller, who must `finish` it. `on_abort` is called from any thread.

        claim: given the UPID inside the transaction that makes the task; when it raises, there is no task.
        """
        upid = Upid(self._node, self._pid, self._pstart, next(_numbers), int(self._clock.now()), worker_type, worker_id, auth_id)
        task = Task(upid, self._writer, self._clock, self._ended, on_abort)
        self.rows.add(upid, lambda connection: claim(connection, str(upid)))
        self._writer.begin(str(upid))
        with self._lock:
            self._running[str(upid)] = task
        return task

    def start(
        self,
        worker_type: str,
        worker_id: str | None,
        auth_id: str,
        run: Callable[[Task], object],
        *,
        on_end: Callable[[Upid, str], None] | None = None,
        claim: Callable[[Connection, str], None] = lambda connection, upid: None,
    ) -> Upid:
        """Run the work in a thread; returns at once. `on_end` is told the status when it is over. claim: see `begin`."""
        task = self.begin(worker_type, worker_id, auth_id, claim=claim)
        name = f"task-{worker_type}"
        threading.Thread(target=self._work, args=(task, run, on_end), name=name, daemon=True).start()
        return task.upid

    def _work(self, task: Task, run: Callable[[Task], object], on_end: Callable[[Upid, str], None] | None) -> None:
        status = task.finish(self.outcome(task, run))
        if on_end is not None:
            try:
                on_end(task.upid, status)
            except PlatevaultError:
                log.exception("end of task %s could not be recorded", task.upid)

    @staticmethod
    def outcome(task: Task, run: Callable[[Task], object]) -> str | None:
        """Error text of the work, None for success."""
        try:
            run(task)
        except PlatevaultError as error:
            return error.message
        except Exception as error:
            log.exception("task %s failed", task.upid)
            return f"internal error: {type(error).__name__}: {error}"
        return None

    def _ended(self, task: Task, status: str) -> None:
        key = str(task.upid)
        self._writer.end(key)
        with self._lock:
            self._unwritten.append((key, int(self._clock.now()), status))
        try:
            self._writer.flush()
            self._write_ends()
        except PlatevaultError as error:
            log.warning("end of task %s cannot be written yet: %s", key, error)
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _write_ends(self) -> None:
        """The row of a task ends after its last line is there. Raises DatabaseFailed; the rest waits for the next try."""
        while True:
            with self._lock:
                if not self._unwritten:
                    return
                end = self._unwritten[0]
            self.rows.end(*end)
            with self._lock, suppress(ValueError):  # another thread may have written it, too: the same again
                self._unwritten.remove(end)

    # --- looking ---

    def find(self, upid: str) -> TaskRow | None:
        return self.rows.find(upid)

    def log_lines(self, upid: str, start: int, limit: int) -> tuple[list[tuple[int, str]], int]:
        """Lines (number from 1, text) from `start` on, and the number of lines there are now. limit 0: all. Raises NoSuchTask."""
        if self.rows.find(upid) is None:
            raise NoSuchTask(f"no such task '{upid[:128]}'")
        self._writer.flush()
        return self._writer.read(upid, start, limit)

    def is_running(self, upid: str) -> bool:
        """Whether its process still works on it. Writes nothing, so it may be asked inside of a transaction."""
        row = self.rows.find(upid)
        return row is not None and row.is_running and not self._is_orphan(row)

    def running(self) -> list[Task]:
        """Tasks of this process."""
        with self._lock:
            return list(self._running.values())

    # --- stopping ---

    def abort(self, upid: str) -> None:
        """Ask a task to stop, in whatever process it runs; a finished or unknown one is left alone."""
        with self._lock:
            task = self._running.get(upid)
        if task is not None:
            task.request_abort()
        else:
            self.rows.request_abort(upid)

    def _now_and_then(self) -> None:
        """Called by the log writer twice a second."""
        self._write_ends()
        self._look_for_aborts()
        if next(self._ticks) % ORPHAN_LOOK_TICKS == 0:
            self._end_orphans()

    def _look_for_aborts(self) -> None:
        """Somebody may have asked through another process."""
        with self._lock:
            running = dict(self._running)
        for upid in self.rows.abort_requests(running.keys()):
            running[upid].request_abort()

    def close(self) -> None:
        """Write what is still in memory. Running tasks are not stopped."""
        self._writer.close()
        self._write_ends()

    def _end_orphans(self) -> None:
        for row in self.rows.unfinished():
            if self._is_orphan(row):
                self.rows.end(row.upid, row.start, "unknown")

    def _is_orphan(self, row: TaskRow) -> bool:
        """Its process has died. Of another node nobody here can tell."""
        return row.node == self._node and process_start(row.pid) != row.pstart
