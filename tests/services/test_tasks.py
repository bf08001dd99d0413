"""Tasks: their states, logs, ends, and what is shown when their process or the database fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platevault.clock import ManualClock
from platevault.config.database import Database, DatabaseFailed, open_database
from platevault.errors import Aborted, Conflict, Invalid, PlatevaultError
from platevault.formats.upid import Upid
from platevault.services import task_log
from platevault.services.process_start import process_start
from platevault.services.task_log import LogWriter, stamp, writable
from platevault.services.task_rows import TaskFilter, TaskRow, concerns_store
from platevault.services.tasks import NoSuchTask, Task, Tasks

NODE = "pbs1"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d: ")


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that writes now and then stays out of the way; tests call what it would call."""
    monkeypatch.setattr(task_log, "FLUSH_S", 3600.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield database
    database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tasks(database: Database, clock: ManualClock) -> Iterator[Tasks]:
    tasks = Tasks(database, clock, NODE)
    yield tasks
    tasks.close()


def run(tasks: Tasks, work: Callable[[Task], None], kind: str = "verify", worker_id: str | None = "store1") -> str:
    """Run to the end; the UPID."""
    upid = str(tasks.start(kind, worker_id, "root@pam", work))
    join()
    return upid


def join() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("task-") and thread.name != "task-log":
            thread.join(30)
            assert not thread.is_alive()


def texts(tasks: Tasks, upid: str) -> list[str]:
    """The lines without their stamps."""
    lines, total = tasks.log_lines(upid, 0, 0)
    assert [number for number, _ in lines] == list(range(1, total + 1))
    assert all(STAMP.match(text) for _, text in lines)
    return [text[27:] for _, text in lines]


class TestEnds:
    """How work ends is what the task says."""

    @pytest.mark.parametrize(
        ("work", "status", "last"),
        [
            (lambda task: task.log("x"), "OK", "TASK OK"),
            (lambda task: task.warn("x"), "WARNINGS: 1", "TASK WARNINGS: 1"),
            (lambda task: [task.warn("x"), task.warn("y")], "WARNINGS: 2", "TASK WARNINGS: 2"),
        ],
    )
    def test_without_an_error(self, tasks: Tasks, work: Callable[[Task], None], status: str, last: str) -> None:
        upid = run(tasks, work)
        row = tasks.find(upid)
        assert row is not None
        assert (row.status, row.is_running) == (status, False)
        assert texts(tasks, upid)[-1] == last

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (Invalid("no such thing"), "no such thing"),
            (Conflict("two\nlines\t and blanks "), "two lines and blanks"),
            (Aborted("abort requested - aborting task"), "abort requested - aborting task"),
            (ValueError("a mistake"), "internal error: ValueError: a mistake"),
            (Invalid("bytes \udce4 and \0"), "bytes \\udce4 and \\x00"),
        ],
    )
    def test_with_one(self, tasks: Tasks, error: Exception, status: str) -> None:
        def work(task: Task) -> None:
            task.warn("before")
            raise error

        upid = run(tasks, work)
        row = tasks.find(upid)
        assert row is not None
        assert row.status == status
        assert texts(tasks, upid) == ["WARN: before", f"TASK ERROR: {status}"]

    def test_its_owner_is_told_after_the_row_has_ended(self, tasks: Tasks) -> None:
        told: list[tuple[str, bool]] = []
        tasks.start(
            "verify", None, "a@pbs", lambda task: None, on_end=lambda upid, status: told.append((status, tasks.is_running(str(upid))))
        )
        join()
        assert told == [("OK", False)]

    def test_only_once(self, tasks: Tasks) -> None:
        task = tasks.begin("backup", "store1:vm/100", "root@pam!pve")
        assert task.finish() == "OK"
        assert task.finish("later") == ""
        task.log("a thread that goes on")
        assert texts(tasks, str(task.upid)) == ["TASK OK"]

    def test_an_end_that_nobody_can_be_told_of(self, tasks: Tasks) -> None:
        def fail(upid: Upid, status: str) -> None:
            raise DatabaseFailed("full")

        upid = tasks.start("verify", None, "a@pbs", lambda task: None, on_end=fail)
        join()
        assert not tasks.is_running(str(upid))


class TestRunning:
    """A task that runs."""

    def test_its_upid(self, tasks: Tasks, clock: ManualClock) -> None:
        first = tasks.begin("backup", "store1:vm/100", "root@pam!pve")
        second = tasks.begin("backup", "store1:vm/100", "root@pam!pve")
        pattern = (
            rf"UPID:pbs1:{os.getpid():08X}:[0-9A-F]{{8,9}}:[0-9A-F]{{8,16}}:{int(clock.now()):08X}:backup:store1\\x3avm-100:root@pam!pve:"
        )
        assert re.fullmatch(pattern, str(first.upid))
        assert first.upid.task_id + 1 == second.upid.task_id
        assert first.upid.pstart == process_start(os.getpid())

    def test_two_servers_in_one_process_share_the_counter(self, database: Database, clock: ManualClock, tasks: Tasks) -> None:
        other = Tasks(database, clock, NODE)
        assert str(tasks.begin("verify", None, "a@pbs").upid) != str(other.begin("verify", None, "a@pbs").upid)
        other.close()

    def test_its_row(self, tasks: Tasks, clock: ManualClock) -> None:
        task = tasks.begin("prune", "store1:ns:vm/1", "alice@pbs!t")
        row = tasks.find(str(task.upid))
        assert row is not None
        assert (row.node, row.pid, row.start) == (NODE, os.getpid(), int(clock.now()))
        assert (row.worker_type, row.worker_id, row.auth_id, row.user) == ("prune", "store1:ns:vm/1", "alice@pbs!t", "alice@pbs")
        assert (row.status, row.endtime, row.is_running, row.outcome) == (None, None, True, "unknown")
        assert [found.upid for found in tasks.running()] == [task.upid]
        clock.advance(5)
        task.finish()
        row = tasks.find(str(task.upid))
        assert row is not None
        assert (row.status, row.endtime) == ("OK", row.start + 5)
        assert tasks.running() == []

    def test_its_log_can_be_read(self, tasks: Tasks) -> None:
        task = tasks.begin("verify", None, "a@pbs")
        task.log("one")
        task.log("two\nthree")
        task.log("")
        upid = str(task.upid)
        assert texts(tasks, upid) == ["one", "two", "three", ""]
        assert [text[27:] for _, text in tasks.log_lines(upid, 2, 1)[0]] == ["two"]
        assert [text[27:] for _, text in tasks.log_lines(upid, 1, 2)[0]] == ["one", "two"]
        assert tasks.log_lines(upid, 9, 0) == ([], 4)
        with pytest.raises(NoSuchTask):
            tasks.log_lines("UPID:x", 0, 0)

    def test_a_claim_that_is_refused_makes_no_task(self, tasks: Tasks) -> None:
        def refuse(connection: object, upid: str) -> None:
            raise Conflict("it runs already")

        with pytest.raises(Conflict):
            tasks.start("garbage_collection", "s", "a@pbs", lambda task: None, claim=refuse)
        assert tasks.rows.unfinished() == []
        assert tasks.running() == []


class TestAbort:
    """Somebody asks for an end."""

    def test_in_the_same_process(self, tasks: Tasks) -> None:
        begun, asked = threading.Event(), threading.Event()

        def work(task: Task) -> None:
            begun.set()
            assert asked.wait(30)
            assert task.abort_requested
            task.check_abort()

        upid = str(tasks.start("verify", None, "a@pbs", work))
        assert begun.wait(30)
        tasks.abort(upid)
        asked.set()
        join()
        assert texts(tasks, upid) == ["TASK ERROR: abort requested - aborting task"]

    def test_a_session_is_told(self, tasks: Tasks) -> None:
        told = threading.Event()
        task = tasks.begin("backup", "s:vm/1", "a@pbs", told.set)
        tasks.abort(str(task.upid))
        assert told.is_set()

    def test_in_another_process(self, database: Database, clock: ManualClock, tasks: Tasks) -> None:
        task = tasks.begin("verify", None, "a@pbs")
        bystander = tasks.begin("verify", None, "a@pbs")
        other = Tasks(database, clock, NODE)
        other.abort(str(task.upid))
        tasks._now_and_then()
        with pytest.raises(Aborted):
            task.check_abort()
        bystander.check_abort()
        other.close()

    def test_of_what_does_not_run_is_no_error(self, tasks: Tasks) -> None:
        task = tasks.begin("verify", None, "a@pbs")
        task.finish()
        tasks.abort(str(task.upid))
        tasks.abort("UPID:nobody")
        row = tasks.find(str(task.upid))
        assert row is not None
        assert row.status == "OK"


DEAD = """
import os, sys
from platevault.clock import ManualClock
from platevault.config.database import open_database
from platevault.services.tasks import Tasks
tasks = Tasks(open_database(sys.argv[1]), ManualClock(), sys.argv[2])
task = tasks.begin("backup", "store1:vm/100", "root@pam")
task.log("the last words")
tasks.log_lines(str(task.upid), 0, 0)
task.log("never written")
print(task.upid, flush=True)
sys.stdin.readline()
os._exit(1)
"""


class TestOrphans:
    """A task whose process has died is shown as stopped with status `unknown`, never as running."""

    @pytest.fixture
    def other(self, tmp_path: Path, database: Database) -> Iterator[subprocess.Popen[str]]:
        """Another server process with a running task, whose UPID it has printed."""
        command = [sys.executable, "-c", DEAD, f"sqlite:///{tmp_path / 'state.db'}", NODE]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield process
            process.kill()

    @staticmethod
    def upid_of(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def test_one_that_lives_is_running(self, other: subprocess.Popen[str], database: Database, clock: ManualClock) -> None:
        upid = self.upid_of(other)
        tasks = Tasks(database, clock, NODE)
        assert tasks.is_running(upid)
        assert [text[27:] for _, text in tasks.log_lines(upid, 0, 0)[0]] == ["the last words"]
        tasks.close()

    def test_after_a_restart(self, other: subprocess.Popen[str], database: Database, clock: ManualClock) -> None:
        upid = self.upid_of(other)
        other.communicate("\n")
        tasks = Tasks(database, clock, NODE)
        row = tasks.find(upid)
        assert row is not None
        assert (row.status, row.is_running, row.outcome, row.endtime) == ("unknown", False, "unknown", row.start)
        assert [text[27:] for _, text in tasks.log_lines(upid, 0, 0)[0]] == ["the last words"]
        tasks.close()

    def test_beside_a_server_that_goes_on(self, other: subprocess.Popen[str], tasks: Tasks) -> None:
        upid = self.upid_of(other)
        tasks._end_orphans()
        assert tasks.is_running(upid)
        other.communicate("\n")
        assert not tasks.is_running(upid)  # at once, so that its job can be started again
        for _ in range(50):  # and by and by in the lists
            tasks._now_and_then()
        row = tasks.find(upid)
        assert row is not None
        assert row.status == "unknown"

    def test_of_another_node_nobody_can_tell(self, other: subprocess.Popen[str], database: Database, clock: ManualClock) -> None:
        upid = self.upid_of(other)
        other.communicate("\n")
        tasks = Tasks(database, clock, "pbs2")
        assert tasks.is_running(upid)
        tasks.close()

    def test_processes(self) -> None:
        assert process_start(2**22 + 1) is None
        assert process_start(os.getpid()) == process_start(os.getpid()) != process_start(1)


class Broken:
    """A database that fails on command."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = False
        real = database.begin

        def begin() -> object:
            if self.fails:
                raise DatabaseFailed("disk full")
            return real()

        monkeypatch.setattr(database, "begin", begin)


class TestTrouble:
    """The database fails for a while: the work goes on, and nothing is lost that fits into memory."""

    @pytest.fixture
    def broken(self, database: Database, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> Broken:
        return Broken(database, monkeypatch)

    def test_lines_and_ends_are_written_later(self, tasks: Tasks, broken: Broken, clock: ManualClock) -> None:
        task = tasks.begin("verify", None, "a@pbs")
        broken.fails = True
        task.log("one")
        task.log("two")
        with pytest.raises(PlatevaultError):
            tasks.log_lines(str(task.upid), 0, 0)
        assert task.finish() == "OK"
        clock.advance(60)
        assert tasks.running() == []
        broken.fails = False
        tasks._writer._try_to_flush()
        tasks._now_and_then()
        row = tasks.find(str(task.upid))
        assert row is not None
        assert (row.status, row.endtime) == ("OK", row.start)
        assert texts(tasks, str(task.upid)) == ["one", "two", "TASK OK"]

    def test_work_goes_on_when_memory_is_full(self, tasks: Tasks, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task_log, "MAX_WAITING_LINES", 5)
        task = tasks.begin("verify", None, "a@pbs")
        broken.fails = True
        for number in range(20):
            task.log(str(number))
        broken.fails = False
        lines, _ = tasks.log_lines(str(task.upid), 0, 0)
        assert [(number, text[27:]) for number, text in lines] == [(number + 1, str(number)) for number in range(15, 20)]

    def test_the_writer_goes_on(self, database: Database, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
        """The thread that writes now and then survives failures."""
        monkeypatch.setattr(task_log, "FLUSH_S", 0.001)
        ticks = threading.Semaphore(0)

        def tick() -> None:
            ticks.release()
            if broken.fails:
                raise DatabaseFailed("disk full")

        writer = LogWriter(database, tick)
        broken.fails = True
        assert all(ticks.acquire(timeout=30) for _ in range(3))
        broken.fails = False
        writer.begin("UPID:x")
        writer.add("UPID:x", "line")
        assert all(ticks.acquire(timeout=30) for _ in range(3))
        assert writer.read("UPID:x", 0, 0) == ([(1, "line")], 1)
        writer.close()
        assert not writer._thread.is_alive()

    def test_closing_writes_what_waits(self, database: Database, clock: ManualClock) -> None:
        tasks = Tasks(database, clock, NODE)
        task = tasks.begin("verify", None, "a@pbs")
        task.log("x")
        tasks.close()
        again = Tasks(database, clock, NODE)
        assert texts(again, str(task.upid)) == ["x"]
        again.close()


def test_lines_are_text_that_every_database_takes(tasks: Tasks) -> None:
    task = tasks.begin("verify", None, "a@pbs")
    task.log("a name \udce4 that is no text, NUL \0 and ä €")
    task.log("x" * 100_000)
    assert texts(tasks, str(task.upid))[0] == "a name \\udce4 that is no text, NUL \\x00 and ä €"
    assert len(tasks.log_lines(str(task.upid), 2, 1)[0][0][1]) == task_log.MAX_LINE_CHARACTERS
    assert writable("plain") == "plain"


def test_a_stamp_has_25_characters() -> None:
    """Clients cut it off by its length."""
    assert STAMP.match(stamp(1_700_000_000.9) + ": ")
    assert {len(stamp(moment)) for moment in (0, 1.5, 1_700_000_000, 4e9)} == {25}


def row(
    status: str | None = None, *, kind: str = "verify", worker_id: str | None = "s", auth_id: str = "alice@pbs", start: int = 100
) -> TaskRow:
    return TaskRow("UPID", NODE, 1, 2, start, kind, worker_id, auth_id, None if status is None else start + 5, status)


class TestLists:
    """Which tasks a list shows, and in which order (spec rest-api §7.3)."""

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [("OK", "ok"), ("WARNINGS: 3", "warning"), ("WARNINGS", "error"), ("unknown", "unknown"), (None, "unknown"), ("no space", "error")],
    )
    def test_outcomes(self, status: str | None, outcome: str) -> None:
        assert row(status).outcome == outcome

    @pytest.mark.parametrize(
        ("wanted", "statuses"),
        [
            (TaskFilter(), ["OK", "WARNINGS: 1", "bad", "unknown", None]),
            (TaskFilter(running=True), [None]),
            (TaskFilter(errors=True), ["WARNINGS: 1", "bad", "unknown", None]),
            (TaskFilter(outcomes={"ok"}), ["OK"]),
            (TaskFilter(outcomes={"warning", "unknown"}), ["WARNINGS: 1", "unknown"]),
            (TaskFilter(outcomes=set()), []),
        ],
    )
    def test_by_status(self, wanted: TaskFilter, statuses: list[str | None]) -> None:
        assert [status for status in ("OK", "WARNINGS: 1", "bad", "unknown", None) if wanted.wants(row(status))] == statuses

    def test_by_text_and_time(self) -> None:
        assert TaskFilter(user_part="alice").wants(row("OK", auth_id="alice@pbs!t"))
        assert not TaskFilter(user_part="bob").wants(row("OK"))
        assert TaskFilter(type_part="erif").wants(row("OK"))
        assert not TaskFilter(type_part="backup").wants(row("OK"))
        assert [start for start in (99, 100, 101, 200, 201) if TaskFilter(since=100, until=200).wants(row("OK", start=start))] == [
            100,
            101,
            200,
        ]

    @pytest.mark.parametrize(
        ("kind", "worker_id", "concerned"),
        [
            ("backup", "store1:vm/100", True),
            ("backup", "store10:vm/100", False),
            ("garbage_collection", "store1", True),
            ("prune", "store1:ns", True),
            ("prunejob", "store1", True),
            ("verify", "store1:ns/a", True),
            ("verificationjob", "store1:v-1", True),
            ("verify_group", "store10:/vm/100", False),
            ("syncjob", "remote:theirs:store1::s-1", True),
            ("syncjob", "remote:store1:other::s-1", False),
            ("syncjob", None, False),
            ("reader", "store1:vm/100/65", False),
            ("create-datastore", "store1", False),
            ("backup", None, False),
        ],
    )
    def test_by_store(self, kind: str, worker_id: str | None, concerned: bool) -> None:
        assert concerns_store(row("OK", kind=kind, worker_id=worker_id), "store1") == concerned
        assert TaskFilter(store="store1").wants(row("OK", kind=kind, worker_id=worker_id)) == concerned

    def test_order_and_pages(self, tasks: Tasks, clock: ManualClock) -> None:
        made = []
        for number in range(6):
            clock.advance(10)
            made.append(tasks.begin("verify", str(number), "a@pbs"))
        for number in (4, 0, 2):  # in this order they end
            clock.advance(10)
            made[number].finish()
        everything = TaskFilter()

        def page(wanted: TaskFilter, start: int, limit: int, readable: Callable[[TaskRow], bool] = lambda row: True) -> str:
            return "".join(str(row.worker_id) for row in tasks.rows.page(wanted, readable, start=start, limit=limit))

        assert page(everything, 0, 0) == "531204"
        assert [page(everything, start, 2) for start in (0, 2, 4, 6)] == ["53", "12", "04", ""]
        assert page(everything, 1, 3, lambda row: row.worker_id != "3") == "120"
        assert page(TaskFilter(running=True), 0, 0) == "531"
        first = tasks.find(str(made[0].upid))
        assert first is not None
        assert first.endtime is not None
        assert page(TaskFilter(since=first.start), 0, 0) == "531204"
        assert page(TaskFilter(since=first.start + 20), 0, 0) == "5324"
