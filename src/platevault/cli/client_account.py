"""`platevault login`, `logout`, `status` and `version`."""

from __future__ import annotations

from typing import Annotated

import typer

from platevault.cli.client_options import (
    FingerprintOption,
    OutputOption,
    RepositoryOption,
    VerboseOption,
    open_client,
    ticket_file,
)
from platevault.cli.output import OutputFormat, format_bytes, note, output
from platevault.errors import Invalid


def login(repository: RepositoryOption = None, fingerprint: FingerprintOption = None, verbose: VerboseOption = False) -> None:
    """Get a ticket and keep it for two hours, so that the next commands ask for no password."""
    from platevault.client.ticket_cache import store_ticket

    client = open_client(repository, fingerprint)
    if client.repository.is_token:
        raise Invalid("an API token needs no login: set PBS_PASSWORD to its secret")
    store_ticket(ticket_file(), client.repository.server, client.rest.ticket())
    note(f"logged in as {client.repository.auth_id} at {client.repository.server}")


def logout(repository: RepositoryOption = None, fingerprint: FingerprintOption = None, verbose: VerboseOption = False) -> None:
    """Forget the ticket of `login`."""
    from platevault.client.ticket_cache import remove_ticket

    client = open_client(repository, fingerprint)
    if not remove_ticket(ticket_file(), client.repository.server, client.repository.auth_id):
        note(f"there was no ticket of {client.repository.auth_id} at {client.repository.server}")


def status(
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Show the space of the datastore."""
    from platevault.client.answers import object_of

    client = open_client(repository, fingerprint)
    found = object_of("status", client.rest.get(f"admin/datastore/{client.repository.store}/status"), total=int, used=int, avail=int)
    total, used, free = (found["total"], found["used"], found["avail"])
    share = f" ({100 * used / total:.1f} %)" if total else ""
    output(chosen).value(found, f"total {format_bytes(total)}, used {format_bytes(used)}{share}, available {format_bytes(free)}")


def version(
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    client_only: Annotated[bool, typer.Option("--client", help="Ask no server.")] = False,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Show the version of this program and, with a repository, of the server."""
    from importlib.metadata import version as installed

    from platevault.client.answers import object_of

    ours = installed("platevault")
    if client_only or not repository:
        output(chosen).value({"client": {"version": ours}}, f"platevault {ours}")
        return
    found = object_of("version", open_client(repository, fingerprint).rest.get("version"), version=str, release=str)
    text = f"platevault {ours}\nserver {found['version']}-{found['release']}"
    output(chosen).value({"client": {"version": ours}, "server": found}, text)
