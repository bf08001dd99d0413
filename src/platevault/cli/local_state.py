"""The state of a server on this machine, for the commands that administer it. They work whether the server runs or not: it notices
every change of the state database by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from platevault.config.database import Database
    from platevault.config.settings import Settings

StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", envvar="PLATEVAULT_STATE_DIR", help="State directory of the server.", show_default=False),
]


class NoState(NotFound):
    """There is no server state in the directory. Fact: `path`."""


def local_settings(state_dir: Path | None) -> Settings:
    """Settings of the server whose state lies in `state_dir`, or in the default directory. Raises NoState, Forbidden."""
    from platevault.cli.server_settings import server_settings

    settings = server_settings(state_dir=state_dir)
    if not settings.state_dir.is_dir():
        raise NoState(
            f"no server state in {settings.state_dir}: give --state-dir, or make it with `platevault init`", path=settings.state_dir
        )
    if not os.access(settings.state_dir, os.R_OK | os.W_OK | os.X_OK):
        raise Forbidden(
            f"{settings.state_dir} belongs to another user: run this command as the user of the service", path=settings.state_dir
        )
    return settings


@contextmanager
def local_database(state_dir: Path | None) -> Iterator[Database]:
    """The state database, closed on leaving."""
    from platevault.config.database import open_database

    database = open_database(local_settings(state_dir).database)
    try:
        yield database
    finally:
        database.close()
