"""`platevault token`: API tokens, one for each machine or program that logs in by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from platevault.cli.admin_user import CommentOption, ExpireOption, set_fields
from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.local_services import local_accounts
from platevault.cli.local_state import StateDirOption
from platevault.cli.output import Column, OutputFormat, note, output

app = typer.Typer(help="API tokens.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(metavar="USERID", help="The user that the token belongs to.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")]


@app.command("list")
def list_tokens(
    userid: Annotated[str | None, typer.Argument(metavar="USERID", help="Of one user; of all if left out.", show_default=False)] = None,
    state_dir: StateDirOption = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Show tokens; never their secrets, which nobody knows but who holds them."""
    with local_accounts(state_dir) as accounts:
        found = accounts.tokens.all() if userid is None else accounts.tokens.of(accounts.users.get(userid).userid)
    columns = [Column("tokenid", "Token"), Column("enable", "Enabled"), Column("expire", "Expires"), Column("comment", "Comment")]
    output(chosen).table(columns, [set_fields(token) for token in found])


@app.command()
def create(
    userid: UserArgument,
    name: NameArgument,
    comment: CommentOption = None,
    expire: ExpireOption = None,
    state_dir: StateDirOption = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Make a token and print its secret, once. Give it a role as well: `platevault acl grant`."""
    from platevault.config.identifiers import check_auth_id
    from platevault.config.users import Token

    token = Token(check_auth_id(f"{userid}!{name}"), comment=comment, enable=True, expire=expire)
    with local_accounts(state_dir) as accounts:
        secret = accounts.create_token(token)
    output(chosen).value({"tokenid": token.tokenid, "value": secret}, secret)
    note(f"secret of {token.tokenid}; it is not shown again")


@app.command()
def remove(userid: UserArgument, name: NameArgument, state_dir: StateDirOption = None, verbose: VerboseOption = False) -> None:
    """Remove a token and its permissions. Its backup groups stay and keep it as owner."""
    with local_accounts(state_dir) as accounts:
        accounts.remove_token(f"{userid}!{name}")
