"""Secrets and the states of jobs: values beside the configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from platevault.config.acl import Acl
from platevault.config.database import Database, open_database
from platevault.config.job_states import JobState, JobStates, claim
from platevault.config.secrets import PASSWORD, SIGNING, TOKEN, Secrets

GC = "garbage_collection"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield database
    database.close()


class TestSecrets:
    """By kind and id."""

    @pytest.fixture
    def secrets(self, database: Database) -> Secrets:
        return Secrets(database)

    def test_values(self, secrets: Secrets) -> None:
        assert secrets.get(PASSWORD, "a@pbs") is None
        secrets.set(PASSWORD, "a@pbs", b"\0\xff")
        secrets.set(TOKEN, "a@pbs", b"other")
        assert (secrets.get(PASSWORD, "a@pbs"), secrets.get(TOKEN, "a@pbs")) == (b"\0\xff", b"other")
        secrets.set(PASSWORD, "a@pbs", b"new")
        assert secrets.get(PASSWORD, "a@pbs") == b"new"
        secrets.delete(PASSWORD, "a@pbs")
        secrets.delete(PASSWORD, "a@pbs")
        assert (secrets.get(PASSWORD, "a@pbs"), secrets.get(TOKEN, "a@pbs")) == (None, b"other")

    def test_every_process_notices_a_change(self, database: Database, secrets: Secrets) -> None:
        before = database.config_version()
        secrets.set(TOKEN, "a@pbs!t", b"x")
        secrets.delete(TOKEN, "a@pbs!t")
        assert database.config_version() == before + 2

    def test_they_are_no_part_of_a_digest(self, database: Database, secrets: Secrets) -> None:
        acl = Acl(database)
        before = acl.digest()
        secrets.set(PASSWORD, "a@pbs", b"x")
        assert acl.digest() == before

    def test_what_is_made_once(self, secrets: Secrets) -> None:
        made: list[bytes] = []
        barrier = threading.Barrier(4)

        def ask(number: int) -> None:
            barrier.wait(30)
            made.append(secrets.get_or_make(SIGNING, "ticket", lambda: bytes([number])))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(made) == 4
        assert len(set(made)) == 1


class TestJobStates:
    """Last runs, and the claim by which a job runs once at a time."""

    @pytest.fixture
    def states(self, database: Database) -> JobStates:
        return JobStates(database)

    def test_records(self, states: JobStates) -> None:
        assert states.find(GC, "store") is None
        states.record(GC, "store", JobState("UPID:1", "OK", 5))
        states.record("prunejob", "store", JobState("UPID:2", None, None))
        states.record(GC, "store", JobState("UPID:3", "no space", 7))
        assert states.find(GC, "store") == JobState("UPID:3", "no space", 7)
        states.forget(GC, "store")
        states.forget(GC, "store")
        assert states.find(GC, "store") is None
        assert states.find("prunejob", "store") == JobState("UPID:2", None, None)

    def test_claims(self, database: Database, states: JobStates) -> None:
        def take(upid: str, *, is_free: bool) -> bool:
            with database.begin() as connection:
                return claim(connection, GC, "store", upid, is_free=lambda other: is_free)

        assert take("UPID:1", is_free=False)
        assert not take("UPID:2", is_free=False)
        assert states.find(GC, "store") == JobState("UPID:1", None, None)
        assert take("UPID:2", is_free=True)  # its process died
        states.record(GC, "store", JobState("UPID:2", "OK", 9))
        assert take("UPID:3", is_free=False)
        assert states.find(GC, "store") == JobState("UPID:3", None, None)

    def test_of_many_claims_one_is_granted(self, database: Database) -> None:
        granted: list[str] = []
        barrier = threading.Barrier(4)

        def take(upid: str) -> None:
            barrier.wait(30)
            with database.begin() as connection:
                if claim(connection, GC, "store", upid, is_free=lambda other: False):
                    granted.append(upid)

        threads = [threading.Thread(target=take, args=(f"UPID:{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(granted) == 1
