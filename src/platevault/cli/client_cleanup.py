"""`platevault forget` and `prune`: remove snapshots."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from platevault.cli.client_options import FingerprintOption, NamespaceOption, OutputOption, RepositoryOption, VerboseOption, open_client
from platevault.cli.output import Column, OutputFormat, output

Keep = Annotated[int | None, typer.Option(min=1, show_default=False)]


def forget(
    snapshot: Annotated[str, typer.Argument(help="TYPE/ID/TIME; never a group.")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    verbose: VerboseOption = False,
) -> None:
    """Remove one snapshot. Its space comes back at the next garbage collection."""
    from platevault.client.snapshots import parts
    from platevault.formats.names import SnapshotName

    client = open_client(repository, fingerprint, namespace)
    client.rest.delete(f"admin/datastore/{client.repository.store}/snapshots", ns=client.ns, **parts(SnapshotName.parse(snapshot)))


def prune(
    group: Annotated[str, typer.Argument(help="TYPE/ID")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    keep_last: Keep = None,
    keep_hourly: Keep = None,
    keep_daily: Keep = None,
    keep_weekly: Keep = None,
    keep_monthly: Keep = None,
    keep_yearly: Keep = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be done.")] = False,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Remove the snapshots of a group that no rule keeps. Without any rule all are kept."""
    from platevault.client.answers import items_of
    from platevault.client.snapshots import SNAPSHOT
    from platevault.formats.names import GroupName

    name = GroupName.parse(group)
    client = open_client(repository, fingerprint, namespace)
    rules = {
        "keep_last": keep_last,
        "keep_hourly": keep_hourly,
        "keep_daily": keep_daily,
        "keep_weekly": keep_weekly,
        "keep_monthly": keep_monthly,
        "keep_yearly": keep_yearly,
    }
    data = client.rest.post(
        f"admin/datastore/{client.repository.store}/prune",
        ns=client.ns,
        backup_type=name.type.value,
        backup_id=name.id,
        dry_run=dry_run or None,
        **rules,
    )
    found = items_of(f"prune of {name}", data, **SNAPSHOT)
    output(chosen).table([Column("snapshot", "Snapshot"), Column("what", "Decision")], [_row(item) for item in found])


def _row(item: dict[str, Any]) -> dict[str, Any]:
    from platevault.client.snapshots import name_of

    decision = "protected" if item.get("protected") else "keep" if item.get("keep") else "remove"
    return item | {"snapshot": str(name_of(item)), "what": decision}
