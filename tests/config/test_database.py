"""The state database: its schema, its version counter, its failures."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, select, text

from platevault.config import database as database_module
from platevault.config.database import Database, DatabaseFailed, _alembic, _engine, meta_value, open_database, raise_config_version
from platevault.config.tables import meta, metadata
from platevault.errors import Invalid


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'state.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(url)
    yield database
    database.close()


def schema(connection: Connection) -> dict[str, object]:
    """Tables with their columns, keys and indexes."""
    look = inspect(connection)
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"], column["default"]) for column in look.get_columns(table)],
            look.get_pk_constraint(table)["constrained_columns"],
            sorted((index["name"], tuple(index["column_names"])) for index in look.get_indexes(table)),
        )
        for table in look.get_table_names()
        if table != "alembic_version"
    }


def revisions() -> list[str]:
    """From the first to the newest."""
    with create_engine("sqlite://").connect() as connection:
        script = ScriptDirectory.from_config(_alembic(connection))
        return [found.revision for found in reversed(list(script.walk_revisions()))]


class TestSchema:
    """What migrations make is what the tables say, from whatever release one comes."""

    def test_migrations_make_what_the_tables_say(self, database: Database) -> None:
        with database.read() as connection:
            migrated = schema(connection)
            differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        fresh = create_engine("sqlite://")
        with fresh.begin() as connection:
            metadata.create_all(connection)
            assert migrated == schema(connection)
        assert differences == []

    @pytest.mark.parametrize("revision", revisions())
    def test_every_released_schema_is_brought_up_to_date(self, url: str, revision: str) -> None:
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
        engine = _engine(url)
        with engine.begin() as connection:
            command.upgrade(_alembic(connection), revision)
        engine.dispose()
        database = open_database(url)
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == revisions()[-1]
        database.close()

    def test_opening_again_changes_nothing(self, database: Database, url: str) -> None:
        before = database.config_version()
        again = open_database(url)
        assert again.config_version() == before
        again.close()

    def test_a_newer_one_is_refused(self, database: Database, url: str) -> None:
        with database.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Invalid, match="newer version"):
            open_database(url)

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("sqlite:////proc/nowhere/state.db", "proc/nowhere"),
            ("postgresql+nothing://user:secret@host/x", "postgresql"),
            ("no url", "no url"),
            ("", "cannot be used"),
        ],
    )
    def test_what_cannot_be_opened(self, url: str, message: str) -> None:
        with pytest.raises((DatabaseFailed, Invalid), match=message) as caught:
            open_database(url)
        assert "secret" not in str(caught.value)

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "state.db").write_bytes(b"nothing of the kind" * 1000)
        with pytest.raises(DatabaseFailed):
            open_database(f"sqlite:///{tmp_path / 'state.db'}")


def test_nobody_else_reads_the_file(database: Database, url: str) -> None:
    """It holds password hashes and signing keys; SQLite gives its other files the same mode."""
    raise_version(database)
    folder = Path(url.removeprefix("sqlite:///")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {name: stat.S_IMODE((folder / name).stat().st_mode) for name in os.listdir(folder)} == dict.fromkeys(
        ("state.db", "state.db-wal", "state.db-shm"), 0o600
    )


def test_a_commit_survives_a_power_cut(database: Database) -> None:
    with database.begin() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def raise_version(database: Database) -> None:
    with database.begin() as connection:
        raise_config_version(connection)


class TestVersion:
    """The number by which every process notices a change."""

    def test_it_grows_with_each_change(self, database: Database) -> None:
        first = database.config_version()
        raise_version(database)
        raise_version(database)
        assert database.config_version() == first + 2

    def test_other_processes_notice(self, database: Database, url: str) -> None:
        other = open_database(url)
        before = other.config_version()
        assert database.config_version() == before
        raise_version(database)
        assert (other.config_version(), database.config_version()) == (before + 1, before + 1)
        raise_version(other)
        assert (other.config_version(), database.config_version()) == (before + 2, before + 2)
        other.close()

    def test_it_is_read_only_after_a_change(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        database.config_version()
        reads = 0
        real = database._read_version

        def read() -> int:
            nonlocal reads
            reads += 1
            return real()

        monkeypatch.setattr(database, "_read_version", read)
        for _ in range(5):
            database.config_version()
        assert reads == 0
        raise_version(database)
        for _ in range(5):
            database.config_version()
        assert reads == 1

    def test_without_a_file_to_watch(self, database: Database) -> None:
        plain = Database(database._engine)
        before = plain.config_version()
        raise_version(plain)
        assert plain.config_version() == before + 1

    def test_no_change_is_lost_among_threads(self, database: Database) -> None:
        before = database.config_version()

        def change() -> None:
            for _ in range(10):
                raise_version(database)

        threads = [threading.Thread(target=change) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert database.config_version() == before + 40


def raise_and_fail(database: Database) -> None:
    with database.begin() as connection:
        raise_config_version(connection)
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))


class TestTransactions:
    """All or nothing, and a failure is one of ours."""

    def test_an_error_undoes_all_of_it(self, database: Database) -> None:
        before = database.config_version()
        with pytest.raises(DatabaseFailed):
            raise_and_fail(database)
        assert database.config_version() == before

    def test_a_database_that_is_locked_too_long(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 1)
        database = open_database(url)
        blocker = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseFailed, match="locked"):
            raise_version(database)
        assert database.config_version() >= 1  # reading goes on
        blocker.execute("COMMIT")
        raise_version(database)
        blocker.close()
        database.close()

    def test_a_full_disk(self, database: Database) -> None:
        with database.begin() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(DatabaseFailed, match="full"), database.begin() as connection:
            connection.execute(text("INSERT INTO meta VALUES ('x', :value)"), {"value": "x" * 100_000})
        with database.read() as connection:
            assert connection.execute(select(meta.c.value).where(meta.c.name == "x")).one_or_none() is None

    def test_values_that_are_made_once(self, database: Database) -> None:
        assert meta_value(database, "instance-id", "first") == "first"
        assert meta_value(database, "instance-id", "second") == "first"
