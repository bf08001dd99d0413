"""`platevault init`: makes the state of a server: database, certificate, administrator, and a first datastore if wanted."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.admin_user import PasswordFileOption
from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.output import OutputFormat, note, output
from platevault.cli.secrets_from import secret_in_file

if TYPE_CHECKING:
    from platevault.api.services import Services

PASSWORD_BYTES = 15  # 20 characters of base64


def init(
    state_dir: Annotated[Path | None, typer.Option("--state-dir", envvar="PLATEVAULT_STATE_DIR", show_default=False)] = None,
    admin: Annotated[str, typer.Option("--admin", help="The administrator, in realm pbs.", metavar="USERID")] = "admin@pbs",
    password_file: PasswordFileOption = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Also make an API token of this name with the same rights.", show_default=False)
    ] = None,
    datastore: Annotated[str | None, typer.Option("--datastore", help="Also make a datastore of this name.", show_default=False)] = None,
    datastore_path: Annotated[Path | None, typer.Option("--datastore-path", help="Its directory.", show_default=False)] = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Make the state of a server. The administrator's password is made up and printed once unless a file gives it."""
    from platevault.app import build
    from platevault.cli.server_settings import server_settings
    from platevault.clock import SystemClock
    from platevault.errors import Conflict, Invalid

    if (datastore is None) != (datastore_path is None):
        raise Invalid("--datastore and --datastore-path go together")
    settings = server_settings(state_dir=state_dir)
    if settings.state_dir.is_dir() and any(settings.state_dir.iterdir()):
        raise Conflict(f"{settings.state_dir} is not empty: a server's state is made once, in a directory of its own")
    password = secret_in_file(password_file) if password_file is not None else secrets.token_urlsafe(PASSWORD_BYTES)
    app = build(settings, SystemClock())
    try:
        made = _fill(app.services, admin, password, token, datastore, datastore_path)
    except BaseException:
        app.close()
        _undo(settings.state_dir)
        raise
    app.close()
    shown = made if password_file is not None else made | {"password": password}
    output(chosen).value(shown, "\n".join(f"{name}: {value}" for name, value in shown.items()))
    if password_file is None and sys.stdout.isatty():
        note("the password is not shown again")


def _fill(services: Services, admin: str, password: str, token: str | None, datastore: str | None, path: Path | None) -> dict[str, str]:
    """Everything that can fail comes before what takes long. Returns what the caller wants to know."""
    from platevault.config.acl import AclEntry
    from platevault.config.identifiers import check_auth_id, check_user_id
    from platevault.config.users import Token, User

    accounts = services.accounts
    accounts.create_user(User(check_user_id(admin), enable=True), password)
    accounts.acl.put(AclEntry("/", admin, "Admin"))
    made = {"user": admin, "fingerprint": services.certificate.fingerprint}
    if token is not None:
        tokenid = check_auth_id(f"{admin}!{token}")
        made |= {"tokenid": tokenid, "token": accounts.create_token(Token(tokenid, enable=True))}
        accounts.acl.put(AclEntry("/", tokenid, "Admin"))
    if datastore is not None and path is not None:
        made["datastore"] = _make_datastore(services, datastore, path)
    return made


def _make_datastore(services: Services, name: str, path: Path) -> str:
    from platevault.config.datastores import DatastoreConfig
    from platevault.formats.names import check_store_name

    services.datastores.create(DatastoreConfig(check_store_name(name), str(path.absolute())))
    return name


def _undo(state_dir: Path) -> None:
    """Empty the directory again, so that the next try finds it as this one did. It was empty before, so all in it is ours."""
    for path in state_dir.iterdir():
        if path.is_file():
            path.unlink()
