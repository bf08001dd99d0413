"""`platevault list`, `snapshots`, `files`: what a datastore holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from platevault.cli.client_options import FingerprintOption, NamespaceOption, OutputOption, RepositoryOption, VerboseOption, open_client
from platevault.cli.output import Column, OutputFormat, format_bytes, output


def groups(
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """List the backup groups."""
    from platevault.client.answers import items_of
    from platevault.formats.names import GroupName, format_time

    client = open_client(repository, fingerprint, namespace)
    data = client.rest.get(f"admin/datastore/{client.repository.store}/groups", ns=client.ns)
    found = items_of("groups", data, backup_type=str, backup_id=str)
    found.sort(key=lambda item: GroupName.make(item["backup-type"], item["backup-id"]).sort_key)
    columns = [
        Column("group", "Group"),
        Column("last-backup", "Last backup", format_time),
        Column("backup-count", "Snapshots", right=True),
        Column("owner", "Owner"),
        Column("comment", "Comment"),
    ]
    output(chosen).table(columns, [item | {"group": f"{item['backup-type']}/{item['backup-id']}"} for item in found])


def snapshots(
    group: Annotated[str | None, typer.Argument(help="TYPE/ID; all groups if left out.")] = None,
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """List snapshots, oldest first."""
    from platevault.client.snapshots import file_names, list_snapshots, name_of
    from platevault.formats.names import GroupName

    client = open_client(repository, fingerprint, namespace)
    wanted = GroupName.parse(group) if group else None
    found = list_snapshots(client.rest, client.repository.store, client.ns, wanted)
    rows = [item | {"snapshot": str(name_of(item)), "names": " ".join(file_names(item)), "state": _state(item)} for item in found]
    columns = [
        Column("snapshot", "Snapshot"),
        Column("size", "Size", format_bytes, right=True),
        Column("state", "State"),
        Column("names", "Files"),
    ]
    output(chosen).table(columns, rows)


def _state(item: dict[str, Any]) -> str:
    words = ["protected"] if item.get("protected") else []
    if isinstance(verified := item.get("verification"), dict):
        words.append(f"verify {verified.get('state', '?')}")
    return ", ".join(words)


def files(
    snapshot: Annotated[str, typer.Argument(help="TYPE/ID/TIME, or TYPE/ID for its newest snapshot.")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """List the files of a snapshot."""
    from platevault.client.answers import items_of
    from platevault.client.snapshots import parts, resolve_snapshot

    client = open_client(repository, fingerprint, namespace)
    name = resolve_snapshot(lambda: client.rest, client.repository.store, client.ns, snapshot)
    data = client.rest.get(f"admin/datastore/{client.repository.store}/files", ns=client.ns, **parts(name))
    found = items_of(f"files of {name}", data, filename=str)
    columns = [Column("filename", "File"), Column("size", "Size", format_bytes, right=True), Column("crypt-mode", "Encryption")]
    output(chosen).table(columns, found)
