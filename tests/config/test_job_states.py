"""Last runs of jobs, and the claim that lets one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from platevault.config.database import Database, open_database
from platevault.config.job_states import JobState, JobStates, claim


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


def claimed(database: Database, upid: str, *, free: bool = False) -> bool:
    with database.begin() as connection:
        return claim(connection, "prunejob", "j1x", upid, is_free=lambda _: free)


def test_states_are_kept_by_kind_and_id(database: Database) -> None:
    states = JobStates(database)
    assert states.find("prunejob", "j1x") is None
    states.record("prunejob", "j1x", JobState("one", "OK", 5))
    states.record("prunejob", "j1x", JobState("two", "it broke", 6))
    assert states.find("prunejob", "j1x") == JobState("two", "it broke", 6)
    assert states.find("syncjob", "j1x") is None
    states.forget("prunejob", "j1x")
    assert states.find("prunejob", "j1x") is None


def test_a_claim_holds_until_the_run_is_over(database: Database) -> None:
    assert claimed(database, "one")
    assert not claimed(database, "two")
    assert JobStates(database).find("prunejob", "j1x") == JobState("one", None, None)
    assert claimed(database, "two", free=True)
    JobStates(database).record("prunejob", "j1x", JobState("two", "OK", 5))
    assert claimed(database, "three")


def test_a_claim_is_part_of_its_transaction(database: Database) -> None:
    def give_up() -> None:
        with database.begin() as connection:
            assert claim(connection, "prunejob", "j1x", "one", is_free=lambda _: False)
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError, match="after all"):
        give_up()
    assert JobStates(database).find("prunejob", "j1x") is None
