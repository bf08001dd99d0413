"""`platevault user`: who may log in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.local_services import local_accounts
from platevault.cli.local_state import StateDirOption
from platevault.cli.output import Column, OutputFormat, note, output
from platevault.cli.secrets_from import ask_new_secret, secret_in_file

app = typer.Typer(help="Users.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(metavar="USERID", help="NAME@REALM, for example anna@pbs.")]
PasswordFileOption = Annotated[
    Path | None, typer.Option("--password-file", help="File whose first line is the password; - for standard input.", show_default=False)
]
CommentOption = Annotated[str | None, typer.Option("--comment", show_default=False)]
ExpireOption = Annotated[int | None, typer.Option("--expire", help="Seconds since 1970; 0 for never.", min=0, show_default=False)]


@app.command("list")
def list_users(state_dir: StateDirOption = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False) -> None:
    """Show all users."""
    with local_accounts(state_dir) as accounts:
        rows = [set_fields(user) for user in accounts.users.all()]
    columns = [Column("userid", "User"), Column("enable", "Enabled"), Column("expire", "Expires"), Column("comment", "Comment")]
    output(chosen).table(columns, rows)


def set_fields(record: object) -> dict[str, object]:
    """The fields of a record of configuration that are set."""
    fields = dataclasses.asdict(record)  # type: ignore[call-overload]
    return {name: value for name, value in fields.items() if value is not None}


@app.command()
def create(
    userid: UserArgument,
    password_file: PasswordFileOption = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="Only its API tokens may log in.")] = False,
    comment: CommentOption = None,
    expire: ExpireOption = None,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a user. The password of one in realm `pbs` is asked for; others log in with their realm's."""
    from platevault.config.identifiers import check_user_id
    from platevault.config.users import User

    user = User(check_user_id(userid), comment=comment, enable=True, expire=expire)
    with local_accounts(state_dir) as accounts:
        accounts.create_user(user, None if no_password else _password_for(userid, password_file))


def _password_for(userid: str, password_file: Path | None) -> str | None:
    from platevault.config.identifiers import realm_of
    from platevault.services.passwords import REALM_PBS

    return _new_password(userid, password_file) if password_file is not None or realm_of(userid) == REALM_PBS else None


def _new_password(userid: str, password_file: Path | None) -> str:
    if password_file is not None:
        return secret_in_file(password_file)
    return ask_new_secret(f"Password of {userid}", otherwise="no terminal to ask for a password: give --password-file")


@app.command()
def password(
    userid: UserArgument, password_file: PasswordFileOption = None, state_dir: StateDirOption = None, verbose: VerboseOption = False
) -> None:
    """Set the password of a user."""
    with local_accounts(state_dir) as accounts:
        accounts.users.get(userid)
        accounts.auth.passwords.set(userid, _new_password(userid, password_file))


@app.command()
def update(
    userid: UserArgument,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether the user may log in.", show_default=False)] = None,
    comment: CommentOption = None,
    expire: ExpireOption = None,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Change what is given, leave the rest. A disabled user is out at once, its tokens as well."""
    given = {name: value for name, value in {"enable": enable, "comment": comment, "expire": expire}.items() if value is not None}
    with local_accounts(state_dir) as accounts:
        accounts.users.update(dataclasses.replace(accounts.users.get(userid), **given))  # type: ignore[arg-type]


@app.command()
def remove(userid: UserArgument, state_dir: StateDirOption = None, verbose: VerboseOption = False) -> None:
    """Remove a user, its tokens and its permissions. Its backup groups stay and keep it as owner."""
    from platevault.config.identifiers import SUPERUSER
    from platevault.errors import Invalid

    if userid == SUPERUSER:
        raise Invalid(f"{SUPERUSER} cannot be removed; `platevault user update {SUPERUSER} --disable` keeps it out")
    with local_accounts(state_dir) as accounts:
        accounts.remove_user(userid)
    note(f"{userid} removed with its tokens and permissions")
