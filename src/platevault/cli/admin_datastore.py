"""`platevault datastore`: directories that hold backups."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.admin_user import CommentOption, set_fields
from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.local_services import local_datastores
from platevault.cli.local_state import StateDirOption
from platevault.cli.output import Column, OutputFormat, format_bytes, note, output

if TYPE_CHECKING:
    from platevault.services.datastores import Datastores

app = typer.Typer(help="Datastores.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the datastore, 3 to 32 characters.")]


@app.command("list")
def list_datastores(state_dir: StateDirOption = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False) -> None:
    """Show all datastores."""
    with local_datastores(state_dir) as datastores:
        rows = [set_fields(config) for config in datastores.configs.all()]
    columns = [Column("name", "Name"), Column("path", "Directory"), Column("maintenance_mode", "Maintenance"), Column("comment", "Comment")]
    output(chosen).table(columns, rows)


@app.command()
def show(
    name: NameArgument, state_dir: StateDirOption = None, chosen: OutputOption = OutputFormat.TEXT, verbose: VerboseOption = False
) -> None:
    """Show the settings of a datastore, the space of its file system, and how many groups and snapshots it holds."""
    with local_datastores(state_dir) as datastores:
        data = set_fields(datastores.configs.get(name)) | _figures(datastores, name)
    shown = data | {key: format_bytes(int(str(data[key]))) for key in ("total", "used", "available")}
    output(chosen).value(data, "\n".join(f"{key.replace('_', '-')}: {value}" for key, value in shown.items()))


def _figures(datastores: Datastores, name: str) -> dict[str, object]:
    from platevault.formats.names import ROOT

    store = datastores.get(name, "any")
    groups = snapshots = 0
    for ns in store.namespaces(ROOT):
        for group in store.groups(ns):
            groups += 1
            snapshots += len(store.snapshots(ns, group))
    return dataclasses.asdict(store.space()) | {"groups": groups, "snapshots": snapshots}


@app.command()
def create(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="An absolute path; empty, or not there yet.")],
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Attach a directory that is a datastore already; nothing in it is changed.")
    ] = False,
    comment: CommentOption = None,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a datastore, or attach one that Platevault or Proxmox Backup Server wrote."""
    from platevault.config.datastores import DatastoreConfig
    from platevault.formats.names import check_store_name

    config = DatastoreConfig(check_store_name(name), str(path.absolute()), comment=comment)
    with local_datastores(state_dir) as datastores:
        datastores.create(config, reuse=reuse)
    note(f"datastore {name} {'attached' if reuse else 'made'} in {config.path}")


@app.command()
def remove(
    name: NameArgument,
    destroy_data: Annotated[bool, typer.Option("--destroy-data", help="Remove the backups as well. There is no way back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    state_dir: StateDirOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Forget a datastore; its directory stays as it is unless --destroy-data is given."""
    with local_datastores(state_dir) as datastores:
        config = datastores.configs.get(name)
        note(_plan(datastores, name, config.path, destroy=destroy_data))
        if dry_run:
            return
        if destroy_data and not yes:
            _confirm(name)
        datastores.remove(name, destroy=destroy_data)


def _plan(datastores: Datastores, name: str, path: str, *, destroy: bool) -> str:
    """What a removal does, in one line."""
    if not destroy:
        return f"datastore {name} is forgotten; its directory {path} stays and can be attached again with --reuse"
    figures = _figures(datastores, name)
    return f"datastore {name} is removed with {figures['groups']} groups and {figures['snapshots']} snapshots in {path}"


def _confirm(name: str) -> None:
    from platevault.errors import Aborted

    if typer.prompt("Type the name of the datastore to go on", err=True) != name:
        raise Aborted("nothing was removed")
