"""In one request, a thread looks for changes of the configuration once; sections that belong together share a digest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from platevault.config.database import Database, open_database
from platevault.config.users import Token, Tokens, User, Users


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def test_a_change_of_another_process_shows_after_the_block(database: Database, url: str) -> None:
    users, other = Users(database), open_database(url)
    with database.one_look():
        assert users.find("alice@pbs") is None
        Users(other).put(User("alice@pbs"))
        assert users.find("alice@pbs") is None
    assert users.find("alice@pbs") is not None
    other.close()


def test_an_own_change_shows_at_once(database: Database) -> None:
    users = Users(database)
    with database.one_look():
        assert users.find("alice@pbs") is None
        users.put(User("alice@pbs", comment="one"))
        assert users.get("alice@pbs").comment == "one"
        users.put(User("alice@pbs", comment="two"))
        assert users.get("alice@pbs").comment == "two"


def test_a_failed_change_keeps_the_look(database: Database) -> None:
    users = Users(database)
    with database.one_look(), pytest.raises(ZeroDivisionError), database.begin():
        raise ZeroDivisionError
    assert users.find("root@pam") is not None


def test_threads_look_for_themselves(database: Database) -> None:
    users = Users(database)
    seen = []
    with database.one_look():
        assert users.find("alice@pbs") is None
        thread = threading.Thread(target=lambda: (users.put(User("alice@pbs")), seen.append(users.find("alice@pbs"))))  # type: ignore[func-returns-value]
        thread.start()
        thread.join(20)
    assert seen == [User("alice@pbs")]


def test_an_older_look_does_not_bring_back_what_was_before(database: Database) -> None:
    """A thread that looked a moment earlier asks after another one has read the new state."""
    users = Users(database)
    with database.one_look():
        version = database.config_version()
        thread = threading.Thread(target=lambda: (users.put(User("alice@pbs")), users.find("alice@pbs")))  # type: ignore[func-returns-value]
        thread.start()
        thread.join(20)
        assert database.config_version() == version
        assert users.find("alice@pbs") is not None
    assert users.find("alice@pbs") is not None


def test_users_and_tokens_share_their_digest(database: Database) -> None:
    users, tokens = Users(database), Tokens(database)
    assert users.digest() == tokens.digest()
    before = users.digest()
    tokens.put(Token("root@pam!tok"), digest=before)
    assert users.digest() == tokens.digest() != before
    users.put(User("alice@pbs"), digest=tokens.digest())
