"""`platevault acl`: who may do what where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.local_state import StateDirOption, local_database
from platevault.cli.output import Column, OutputFormat, output

if TYPE_CHECKING:
    from platevault.config.database import Database

app = typer.Typer(help="Permissions: roles of users and API tokens on paths.", no_args_is_help=True)

PathArgument = Annotated[str, typer.Argument(help="/, /datastore/NAME, /datastore/NAME/NAMESPACE, /access, /system, …")]
RoleArgument = Annotated[str, typer.Argument(help="Admin, Audit, DatastoreAdmin, DatastorePowerUser, DatastoreBackup, DatastoreReader, …")]
AuthIdArgument = Annotated[str, typer.Argument(metavar="AUTHID", help="USER@REALM, or USER@REALM!TOKEN.")]


@app.command("list")
def list_entries(state_dir: StateDirOption = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False) -> None:
    """Show all entries."""
    from platevault.config.acl import Acl

    with local_database(state_dir) as database:
        entries = Acl(database).all()
    rows = [{"path": entry.path, "ugid": entry.auth_id, "roleid": entry.role, "propagate": entry.propagate} for entry in entries]
    columns = [Column("path", "Path"), Column("ugid", "User or token"), Column("roleid", "Role"), Column("propagate", "Below, too", _yes)]
    output(chosen).table(columns, rows)


@app.command()
def grant(
    path: PathArgument,
    role: RoleArgument,
    auth_id: AuthIdArgument,
    propagate: Annotated[bool, typer.Option(help="Whether it holds for everything below the path, too.")] = True,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Give a role on a path. A token has at most the rights of its user: give the role to both."""
    from platevault.config.acl import Acl, AclEntry

    with local_database(state_dir) as database:
        checked = _checked(path, role, auth_id)
        _must_exist(database, auth_id)
        Acl(database).grant(AclEntry(*checked, propagate=propagate))


@app.command()
def revoke(
    path: PathArgument, role: RoleArgument, auth_id: AuthIdArgument, state_dir: StateDirOption = None, verbose: VerboseOption = False
) -> None:
    """Take a role on a path away."""
    from platevault.config.acl import Acl, AclEntry

    with local_database(state_dir) as database:
        Acl(database).delete(AclEntry(*_checked(path, role, auth_id)).key)


def _checked(path: str, role: str, auth_id: str) -> tuple[str, str, str]:
    """Path, auth id and role as the access list stores them. Raises Invalid."""
    from platevault.config.acl import check_path
    from platevault.config.identifiers import check_auth_id
    from platevault.errors import Invalid
    from platevault.services.roles import ROLES

    if role not in ROLES:
        raise Invalid(f"no role '{role}'; there are: {', '.join(ROLES)}")
    return check_path(path), check_auth_id(auth_id), role


def _must_exist(database: Database, auth_id: str) -> None:
    from platevault.config.identifiers import is_token
    from platevault.config.users import Tokens, Users

    if is_token(auth_id):
        Tokens(database).get(auth_id)
    else:
        Users(database).get(auth_id)


def _yes(value: object) -> str:
    return "yes" if value else "no"
