"""Lines of task logs: collected in memory, written in batches, read from the state database.

A line begins with its time stamp of exactly 25 characters (`YYYY-MM-DDTHH:MM:SS+HH:MM`): existing clients cut it off by length.
Durability: a line survives a crash of the process half a second after it was logged, or as soon as somebody has read the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, insert, select

from platevault.config.database import Database
from platevault.config.tables import task_line
from platevault.errors import PlatevaultError

FLUSH_S = 0.5
MAX_LINE_CHARACTERS = 8192
MAX_WAITING_LINES = 20_000

log = logging.getLogger(__name__)


def stamp(now: float) -> str:
    """Local time with a numeric offset, 25 characters."""
    return datetime.fromtimestamp(int(now)).astimezone().isoformat(timespec="seconds")


def writable(text: str) -> str:
    """Text that every database takes: file names may hold bytes that are no text, and NUL is none to PostgreSQL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


class LogWriter:
    """`_lock` protects the lines that wait and the line counters; `_writing` lets one flush run at a time."""

    def __init__(self, database: Database, now_and_then: Callable[[], None]) -> None:
        self._database, self._now_and_then = database, now_and_then
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[tuple[str, int, str]] = []
        self._numbers: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="task-log", daemon=True)
        self._thread.start()

    def begin(self, upid: str) -> None:
        """Lines of a new task will come."""
        with self._lock:
            self._numbers[upid] = 0

    def add(self, upid: str, line: str) -> None:
        """Never fails: work does not end because its log cannot be written. Lines that do not fit into memory are lost then.

        What a thread still says when its task has ended is left out.
        """
        with self._lock:
            if upid not in self._numbers:
                return
            number = self._numbers[upid] = self._numbers[upid] + 1
            self._waiting.append((upid, number, writable(line[:MAX_LINE_CHARACTERS])))
            too_many = len(self._waiting) > MAX_WAITING_LINES
        if too_many:
            self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except PlatevaultError as error:
            log.warning("task logs wait in memory: %s", error)

    def flush(self) -> None:
        """Write what waits. Raises DatabaseFailed; the lines then wait for the next try."""
        with self._writing:
            with self._lock:
                lines, self._waiting = self._waiting, []
            if not lines:
                return
            try:
                with self._database.begin() as connection:
                    connection.execute(insert(task_line), [{"upid": upid, "number": number, "text": text} for upid, number, text in lines])
            except PlatevaultError:
                with self._lock:
                    self._waiting = (lines + self._waiting)[-MAX_WAITING_LINES:]
                raise

    def read(self, upid: str, start: int, limit: int) -> tuple[list[tuple[int, str]], int]:
        """Lines from `start` on (0 and 1 are both the first), and the number of lines."""
        query = select(task_line.c.number, task_line.c.text).where(task_line.c.upid == upid, task_line.c.number >= max(1, start))
        query = query.order_by(task_line.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit) if limit else query).all()
            count = connection.execute(select(func.max(task_line.c.number)).where(task_line.c.upid == upid)).scalar_one()
        return [(int(row[0]), str(row[1])) for row in rows], int(count or 0)

    def end(self, upid: str) -> None:
        """No more lines will come for this task."""
        with self._lock:
            self._numbers.pop(upid, None)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            try:
                self.flush()
                self._now_and_then()
            except PlatevaultError as error:
                log.warning("task logs wait in memory: %s", error)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self.flush()
