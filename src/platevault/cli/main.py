"""The program `platevault`: the commands of the server and of the client."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from platevault.cli import admin_acl, admin_datastore, admin_task, admin_token, admin_user, client_commands
from platevault.cli.admin_doctor import doctor
from platevault.cli.exit_codes import INTERRUPTED, exit_code
from platevault.cli.failure import run_reported
from platevault.cli.init import init
from platevault.cli.output import note
from platevault.cli.serve import serve
from platevault.errors import Aborted, Invalid

# Typer has a copy of click inside and gives the base of its usage errors no name.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="platevault",
    help="Backup server and client that speak the protocol of Proxmox Backup Server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(init)
app.command()(serve)
app.command()(doctor)
app.add_typer(admin_datastore.app, name="datastore")
app.add_typer(admin_user.app, name="user")
app.add_typer(admin_token.app, name="token")
app.add_typer(admin_acl.app, name="acl")
app.add_typer(admin_task.app, name="task")
client_commands.register(app)


def main() -> None:
    """Run the command line of this process; the exit status says what kind of failure it was."""
    # numpy sorts and compares here; the threads that it starts for linear algebra would only spin, at every start of a command.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit status. Never raises."""
    return run_reported(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    """The status that a command asked for. Raises Invalid for words that make no command line."""
    try:
        status = int(app(arguments, standalone_mode=False) or 0)
    except USAGE_ERROR as error:
        return _report_usage(error)
    except typer.Abort as error:
        raise Aborted("nothing was done") from error
    if status == INTERRUPTED:  # typer turns Ctrl-C into a status and says nothing
        raise KeyboardInterrupt
    return status


def _report_usage(error: Any) -> int:
    """One line about what is wrong with a command line; the help itself when a group was called without a command."""
    text: str = error.format_message()
    if "\n" in text or error.ctx is None:
        note(text)
        return exit_code(Invalid(text))
    raise Invalid(f"{text} (see `{error.ctx.command_path} --help`)") from error
