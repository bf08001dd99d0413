"""Secrets in the state database: password hashes, token digests, signing keys.

Nothing here is ever part of an answer. A token secret is a random UUID of 122 bits, so a plain SHA-256 keeps it: a slow hash would
only cost time at every request, guessing is hopeless either way.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, insert, select

from platevault.config.database import Database, raise_config_version
from platevault.config.tables import secret

PASSWORD = "password"
TOKEN = "token"
SIGNING = "signing"


class Secrets:
    """Values by kind and id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, kind: str, key: str) -> bytes | None:
        with self._database.read() as connection:
            query = select(secret.c.value).where(secret.c.kind == kind, secret.c.id == key)
            return connection.execute(query).scalar_one_or_none()

    def set(self, kind: str, key: str, value: bytes) -> None:
        with self._database.begin() as connection:
            raise_config_version(connection)
            connection.execute(delete(secret).where(secret.c.kind == kind, secret.c.id == key))
            connection.execute(insert(secret).values(kind=kind, id=key, value=value))

    def delete(self, kind: str, key: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(secret).where(secret.c.kind == kind, secret.c.id == key))
            raise_config_version(connection)

    def get_or_make(self, kind: str, key: str, make: Callable[[], bytes]) -> bytes:
        """The stored value; the first caller of all processes makes it."""
        with self._database.begin() as connection:
            raise_config_version(connection)
            query = select(secret.c.value).where(secret.c.kind == kind, secret.c.id == key)
            found = connection.execute(query).scalar_one_or_none()
            if found is None:
                found = make()
                connection.execute(insert(secret).values(kind=kind, id=key, value=found))
        return bytes(found)
