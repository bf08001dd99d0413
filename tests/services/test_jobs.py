"""Runs of jobs: one at a time, remembered, and told by the task until their end is noted (spec administration §5.7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from platevault.clock import ManualClock
from platevault.config.database import Database, open_database
from platevault.config.job_states import JobState
from platevault.config.jobs import PruneJob, SyncJob, VerifyJob
from platevault.services.jobs import PRUNE, SYNC, VERIFICATION, AlreadyRunning, Jobs, LastRun
from platevault.services.tasks import Task, Tasks

RUNNING = "it runs already"


class Bench:
    """Jobs over a database of their own, and a job that waits until it is let go."""

    def __init__(self, where: Path) -> None:
        self.clock = ManualClock()
        self.database: Database = open_database(f"sqlite:///{where / 'state.db'}")
        self.tasks = Tasks(self.database, self.clock, "testnode")
        self.jobs = Jobs(self.database, self.tasks, self.clock)
        self.go, self.begun = threading.Event(), threading.Event()

    def start(self, key: str = "j1x", *, wait: bool = False, fail: bool = False) -> str:
        def run(task: Task) -> None:
            self.begun.set()
            if wait:
                assert self.go.wait(20)
            if fail:
                raise AlreadyRunning("it broke")

        upid = str(self.jobs.start(PRUNE, key, "store", "root@pam", run, running=RUNNING))
        assert self.begun.wait(20)
        return upid

    def finish(self) -> None:
        self.go.set()
        for thread in threading.enumerate():
            if thread.name.startswith("task-prune"):
                thread.join(20)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.finish()
    made.tasks.close()
    made.database.close()


def test_a_run_is_remembered(bench: Bench) -> None:
    assert bench.jobs.last(PRUNE, "j1x") is None
    upid = bench.start()
    bench.finish()
    last = bench.jobs.last(PRUNE, "j1x")
    assert last == LastRun(upid, "OK", int(bench.clock.now()))
    assert last.duration_s == 0
    assert bench.jobs.states.find(PRUNE, "j1x") == JobState(upid, "OK", int(bench.clock.now()))


def test_a_failure_is_remembered(bench: Bench) -> None:
    bench.start(fail=True)
    bench.finish()
    last = bench.jobs.last(PRUNE, "j1x")
    assert last is not None
    assert last.state == "it broke"


def test_one_at_a_time(bench: Bench) -> None:
    upid = bench.start(wait=True)
    with pytest.raises(AlreadyRunning, match=RUNNING):
        bench.start()
    assert bench.jobs.last(PRUNE, "j1x") == LastRun(upid, None, None)
    assert len(bench.tasks.rows.unfinished()) == 1  # the refused run has left no task
    bench.begun.clear()
    assert bench.start("other") != upid
    bench.finish()
    bench.begun.clear()
    assert bench.start() != upid


def test_another_process_is_seen(bench: Bench) -> None:
    """The claim is in the database: a second set of services over the same state refuses, too."""
    bench.start(wait=True)
    tasks = Tasks(bench.database, bench.clock, "othernode")
    jobs = Jobs(bench.database, tasks, bench.clock)
    with pytest.raises(AlreadyRunning):
        jobs.start(PRUNE, "j1x", "store", "root@pam", lambda task: None, running=RUNNING)
    tasks.close()


def test_a_run_whose_process_died_is_over(bench: Bench) -> None:
    """The task is ended as unknown at the next start; the job shows that and may run again."""
    task = bench.tasks.begin("prunejob", "store", "root@pam")
    bench.jobs.states.record(PRUNE, "j1x", JobState(str(task.upid), None, None))
    with pytest.raises(AlreadyRunning):
        bench.start()
    bench.tasks.rows.end(str(task.upid), 5, "unknown")
    assert bench.jobs.last(PRUNE, "j1x") == LastRun(str(task.upid), "unknown", 5)
    bench.start()


def test_a_run_that_no_task_tells_of(bench: Bench) -> None:
    bench.jobs.states.record(PRUNE, "j1x", JobState("UPID:gone", None, None))
    assert bench.jobs.last(PRUNE, "j1x") == LastRun("UPID:gone", "unknown", None)
    bench.start()


def test_the_end_of_a_removed_job_is_not_noted(bench: Bench) -> None:
    bench.start(wait=True)
    bench.jobs.states.forget(PRUNE, "j1x")
    bench.finish()
    assert bench.jobs.last(PRUNE, "j1x") is None


def test_the_next_run(bench: Bench) -> None:
    assert bench.jobs.next_run(None) is None
    found = bench.jobs.next_run("hourly")
    assert found is not None
    assert 0 < found - bench.clock.now() <= 3600


def test_with_a_datastore_go_its_jobs(bench: Bench) -> None:
    jobs = bench.jobs
    for store in ("mine", "other"):
        jobs.prune.insert(PruneJob(f"p-{store}", store, "daily"))
        jobs.verification.insert(VerifyJob(f"v-{store}", store))
        jobs.sync.insert(SyncJob(f"s-{store}", store, "remote-store", "remote"))
        for kind, letter in ((PRUNE, "p"), (VERIFICATION, "v"), (SYNC, "s")):
            jobs.states.record(kind, f"{letter}-{store}", JobState("UPID:x", "OK", 1))
    jobs.forget_store("mine")
    left = [[job.id for job in jobs.prune.all()], [job.id for job in jobs.verification.all()], [job.id for job in jobs.sync.all()]]
    assert left == [["p-other"], ["v-other"], ["s-other"]]
    assert jobs.states.find(PRUNE, "p-mine") is None
    assert jobs.states.find(SYNC, "s-other") is not None
