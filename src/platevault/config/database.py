"""The state database: SQLite (WAL) by default, PostgreSQL by URL.

Durability: a committed change of configuration survives a power cut (SQLite runs with synchronous=FULL). Every process that serves
the same database notices a change by `config_version`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Integer, String, cast, create_engine, event, insert, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from platevault.config.tables import meta
from platevault.errors import Invalid, Unavailable

BUSY_TIMEOUT_MS = 10_000
CONFIG_VERSION = "config-version"


class DatabaseFailed(Unavailable):
    """The state database cannot be read or written now: locked too long, disk full, server gone."""


class Database:
    """Connections to the state database. Safe to use from several threads."""

    def __init__(self, engine: Engine, watch: VersionWatch | None = None) -> None:
        self._engine = engine
        self._watch = watch
        self._look = _Look()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A writing transaction: committed on leaving, rolled back on an error. Raises DatabaseFailed."""
        try:
            with self._engine.begin() as connection:
                yield connection
            self._look.version = None
        except DBAPIError as error:
            raise DatabaseFailed(f"state database: {error.orig}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Raises DatabaseFailed."""
        try:
            with self._engine.connect().execution_options(reading=True) as connection:
                yield connection
        except DBAPIError as error:
            raise DatabaseFailed(f"state database: {error.orig}") from error

    def config_version(self) -> int:
        """Number that grows with every change of configuration, by whatever process."""
        look = self._look
        if look.version is not None:
            return look.version
        version = self._read_version() if self._watch is None else self._watch.version(self._read_version)
        if look.is_kept:
            look.version = version
        return version

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """In the block, this thread looks for changes of the configuration once, and again after a change of its own.

        For one request: dozens of threads that look several times each would spend their time waiting for each other.
        """
        look = self._look
        look.is_kept, look.version = True, None
        try:
            yield
        finally:
            look.is_kept, look.version = False, None

    def _read_version(self) -> int:
        with self.read() as connection:
            found = connection.execute(select(meta.c.value).where(meta.c.name == CONFIG_VERSION)).scalar_one()
        return int(found)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._engine.dispose()


class _Look(threading.local):
    """What this thread saw: the version, for as long as it is kept."""

    is_kept = False
    version: int | None = None


class VersionWatch:
    """Notices changes of an SQLite file without a query: `PRAGMA data_version` of a connection that never writes costs microseconds.

    `_lock` protects the connection and the remembered version.
    """

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._seen = -1
        self._version = 0

    def version(self, read: Callable[[], int]) -> int:
        """The configuration version, read again only when the file has changed."""
        with self._lock:
            seen = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if seen != self._seen:
                self._version, self._seen = read(), seen
            return self._version

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def raise_config_version(connection: Connection) -> None:
    """To be called in every transaction that changes configuration, before it looks at what it changes.

    One statement: its row is also what keeps such transactions of several processes apart, where the database itself does not.
    """
    number = cast(cast(meta.c.value, Integer) + 1, String)
    connection.execute(update(meta).where(meta.c.name == CONFIG_VERSION).values(value=number))


def meta_value(database: Database, name: str, make: str) -> str:
    """A value that is made once and then stays, e.g. the instance id."""
    with database.begin() as connection:
        raise_config_version(connection)
        found = connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()
        if found is None:
            connection.execute(insert(meta).values(name=name, value=make))
            return make
    return str(found)


def open_database(url: str) -> Database:
    """Open, and bring the schema up to date. Raises DatabaseFailed, or Invalid for a newer schema or a bad URL."""
    try:
        engine = _engine(url)
    except OSError as error:
        raise DatabaseFailed(f"state database {_without_password(url)}: {error.strerror}") from error
    except (SQLAlchemyError, ImportError) as error:
        raise Invalid(f"'{_without_password(url)}' cannot be used as state database: {error}") from error
    try:
        with engine.begin() as connection:
            _migrate(connection)
    except CommandError as error:
        engine.dispose()
        raise Invalid(f"state database was written by a newer version: {error}") from error
    except SQLAlchemyError as error:
        engine.dispose()
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise DatabaseFailed(f"state database {_without_password(url)}: {reason}") from error
    file = _sqlite_file(url)
    return Database(engine, VersionWatch(file) if file else None)


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _sqlite_file(url: str) -> str:
    """Path of the file, empty for other databases and for one in memory."""
    return url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    if file := _sqlite_file(url):
        Path(file).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=32, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start: a reader that turns writer later cannot wait for it and would fail at once."""
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    script = ScriptDirectory.from_config(_alembic(connection))
    if MigrationContext.configure(connection).get_current_revision() != script.get_current_head():
        command.upgrade(_alembic(connection), "head")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
