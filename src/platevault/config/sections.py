"""Sections of the configuration: typed records in the state database, each section with a digest.

A section keeps a snapshot of itself in memory and reads it again when `config_version` has changed. The digest is SHA-256 over all
records in order of their ids: whoever gives it with a change is refused when somebody else was faster. Sections that are one file in
the reference server (users and tokens) share one digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from platevault.config.database import Database, raise_config_version
from platevault.config.tables import config_entry
from platevault.errors import Conflict, NotFound


class StaleDigest(Conflict):
    """The configuration was changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("detected modified configuration - file changed by other user? Try again.")


class NoSuchEntry(NotFound):
    """There is no record of this id. Facts: `section`, `id`."""


class EntryExists(Conflict):
    """There is a record of this id already. Facts: `section`, `id`."""


class Record(Protocol):
    """A frozen dataclass with an id; fields that are None are not stored."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Record)


class Section(Generic[R]):
    """Records of one kind. `_lock` protects the snapshot; values handed out are never changed."""

    def __init__(self, database: Database, name: str, make: Callable[..., R], *, label: str, digest_with: Sequence[str] = ()) -> None:
        """digest_with: names of other sections whose records count for the digest, too."""
        self._database, self._name, self._make, self._label = database, name, make, label
        self._digested = sorted({name, *digest_with})
        self._lock = threading.Lock()
        self._version = -1
        self._records: dict[str, R] = {}
        self._digest = ""

    def _snapshot(self) -> tuple[dict[str, R], str]:
        version = self._database.config_version()
        with self._lock:
            if version > self._version:  # a request that looked a moment earlier must not bring back what is older
                with self._database.read() as connection:
                    rows = _rows(connection, self._name)
                    self._digest = self._current_digest(connection)
                self._records = {row_id: self._make(**json.loads(body)) for row_id, body in rows}
                self._version = version
            return self._records, self._digest

    def all(self) -> list[R]:
        """All records, by id."""
        return list(self._snapshot()[0].values())

    def find(self, key: str) -> R | None:
        return self._snapshot()[0].get(key)

    def get(self, key: str) -> R:
        """Raises NoSuchEntry: `no such LABEL 'KEY'`."""
        found = self.find(key)
        if found is None:
            raise NoSuchEntry(f"no such {self._label} '{key}'", section=self._name, id=key)
        return found

    def digest(self) -> str:
        """64 hex digits."""
        return self._snapshot()[1]

    def insert(self, record: R, *, digest: str | None = None) -> None:
        """Raises EntryExists, StaleDigest."""
        with self._change(digest) as connection:
            if _body(connection, self._name, record.key) is not None:
                raise EntryExists(f"{self._label} '{record.key}' already exists.", section=self._name, id=record.key)
            connection.execute(insert(config_entry).values(section=self._name, id=record.key, body=_encode(record)))

    def update(self, record: R, *, digest: str | None = None) -> None:
        """Replace the record of the same id. Raises NoSuchEntry, StaleDigest."""
        with self._change(digest) as connection:
            self._must_exist(connection, record.key)
            connection.execute(update(config_entry).where(_is(self._name, record.key)).values(body=_encode(record)))

    def put(self, record: R, *, digest: str | None = None, instead_of: Callable[[R], bool] | None = None) -> None:
        """Insert or replace; in the same transaction, remove every record that `instead_of` names. Raises StaleDigest."""
        with self._change(digest) as connection:
            if instead_of is not None:
                self._remove(connection, instead_of)
            connection.execute(delete(config_entry).where(_is(self._name, record.key)))
            connection.execute(insert(config_entry).values(section=self._name, id=record.key, body=_encode(record)))

    def delete(self, key: str, *, digest: str | None = None) -> None:
        """Raises NoSuchEntry, StaleDigest."""
        with self._change(digest) as connection:
            self._must_exist(connection, key)
            connection.execute(delete(config_entry).where(_is(self._name, key)))

    def delete_where(self, unwanted: Callable[[R], bool]) -> None:
        """Remove every record that `unwanted` names; none is fine."""
        with self._change() as connection:
            self._remove(connection, unwanted)

    @contextmanager
    def _change(self, digest: str | None = None) -> Iterator[Connection]:
        """A transaction; those of all processes follow one another. Raises StaleDigest."""
        with self._database.begin() as connection:
            raise_config_version(connection)
            if digest is not None and digest != self._current_digest(connection):
                raise StaleDigest
            yield connection

    def _remove(self, connection: Connection, unwanted: Callable[[R], bool]) -> None:
        for key, body in _rows(connection, self._name):
            if unwanted(self._make(**json.loads(body))):
                connection.execute(delete(config_entry).where(_is(self._name, key)))

    def _current_digest(self, connection: Connection) -> str:
        return _digest([row for name in self._digested for row in _rows(connection, name)])

    def _must_exist(self, connection: Connection, key: str) -> None:
        if _body(connection, self._name, key) is None:
            raise NoSuchEntry(f"no such {self._label} '{key}'", section=self._name, id=key)


@dataclasses.dataclass(frozen=True, slots=True)
class GenericEntry:
    """A record whose fields are not typed: sections that are stored and shown, and whose feature comes later."""

    id: str
    fields: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.id


def generic_section(database: Database, name: str, *, label: str) -> Section[GenericEntry]:
    return Section(database, name, GenericEntry, label=label)


def _is(section: str, key: str) -> Any:
    return (config_entry.c.section == section) & (config_entry.c.id == key)


def _body(connection: Connection, section: str, key: str) -> str | None:
    return connection.execute(select(config_entry.c.body).where(_is(section, key))).scalar_one_or_none()


def _rows(connection: Connection, section: str) -> list[tuple[str, str]]:
    query = select(config_entry.c.id, config_entry.c.body).where(config_entry.c.section == section)
    return sorted((str(row[0]), str(row[1])) for row in connection.execute(query))


def _digest(rows: list[tuple[str, str]]) -> str:
    state = hashlib.sha256()
    for key, body in rows:
        state.update(f"{len(key)}:{key}{len(body)}:{body}".encode())
    return state.hexdigest()


def _encode(record: Record) -> str:
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return json.dumps({name: value for name, value in fields.items() if value is not None}, sort_keys=True)
