"""The services of the server on this machine, for commands that administer it without asking it over the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from platevault.cli.local_state import local_database, local_settings

if TYPE_CHECKING:
    from platevault.config.database import Database
    from platevault.services.accounts import Accounts
    from platevault.services.datastores import Datastores


def accounts_of(database: Database) -> Accounts:
    """Users and tokens in the state database."""
    from platevault.clock import SystemClock
    from platevault.config.acl import Acl
    from platevault.config.secrets import Secrets
    from platevault.config.users import Tokens, Users
    from platevault.services.accounts import Accounts
    from platevault.services.auth import Auth
    from platevault.services.passwords import Passwords

    users, tokens, secrets = Users(database), Tokens(database), Secrets(database)
    auth = Auth(database, users, tokens, secrets, Passwords(secrets), SystemClock())
    return Accounts(users, tokens, Acl(database), auth)


@contextmanager
def local_accounts(state_dir: Path | None) -> Iterator[Accounts]:
    """Users and tokens of the server whose state lies in `state_dir`."""
    with local_database(state_dir) as database:
        yield accounts_of(database)


@contextmanager
def local_datastores(state_dir: Path | None) -> Iterator[Datastores]:
    """Datastores of the server whose state lies in `state_dir`."""
    from platevault.clock import SystemClock
    from platevault.config.datastores import DatastoreConfigs
    from platevault.services.datastores import Datastores

    settings = local_settings(state_dir)
    with local_database(state_dir) as database:
        datastores = Datastores(DatastoreConfigs(database), locks_dir=settings.locks, clock=SystemClock())
        try:
            yield datastores
        finally:
            datastores.close()
