"""The client's commands, as one list for the program."""

from __future__ import annotations

import typer

from platevault.cli import client_account, client_catalog, client_cleanup, client_keys, client_list
from platevault.cli.client_backup import backup
from platevault.cli.client_restore import restore


def register(app: typer.Typer) -> None:
    """Add the client's commands to the program."""
    app.command()(backup)
    app.command()(restore)
    app.command("list")(client_list.groups)
    app.command()(client_list.snapshots)
    app.command()(client_list.files)
    app.add_typer(client_catalog.app, name="catalog")
    app.add_typer(_known_names(), name="snapshot")
    app.command()(client_cleanup.forget)
    app.command()(client_cleanup.prune)
    app.command()(client_account.status)
    app.command()(client_account.login)
    app.command()(client_account.logout)
    app.command()(client_account.version)
    app.add_typer(client_keys.app, name="key")


def _known_names() -> typer.Typer:
    """The same commands under the names of proxmox-backup-client."""
    group = typer.Typer(no_args_is_help=True, help="Snapshots, under the names of proxmox-backup-client.")
    group.command("list")(client_list.snapshots)
    group.command("files")(client_list.files)
    group.command("forget")(client_cleanup.forget)
    return group
