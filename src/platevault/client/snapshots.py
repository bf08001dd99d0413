"""Groups and snapshots of a datastore as the server lists them.

Source: spec rest-api (admin/datastore), wire-protocol §5, §6.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from platevault.client.answers import Item, items_of
from platevault.client.rest import RestClient
from platevault.errors import NotFound
from platevault.formats.names import MANIFEST_NAME, GroupName, SnapshotName

SNAPSHOT: dict[str, type] = {"backup_type": str, "backup_id": str, "backup_time": int}


def list_snapshots(rest: RestClient, store: str, namespace: str | None, group: GroupName | None = None) -> list[Item]:
    """The server's items, oldest first within a group."""
    parts = {} if group is None else {"backup_type": group.type.value, "backup_id": group.id}
    found = items_of("snapshots", rest.get(f"admin/datastore/{store}/snapshots", ns=namespace, **parts), **SNAPSHOT)
    return sorted(found, key=lambda item: (GroupName.make(item["backup-type"], item["backup-id"]).sort_key, item["backup-time"]))


def name_of(item: Item) -> SnapshotName:
    """The name of a listed snapshot."""
    return SnapshotName.make(item["backup-type"], item["backup-id"], item["backup-time"])


def file_names(item: Item) -> list[str]:
    """Names of the files of a listed snapshot; servers list objects, for unfinished snapshots sometimes bare names."""
    files = item.get("files")
    return [str(file.get("filename")) if isinstance(file, dict) else str(file) for file in (files if isinstance(files, list) else [])]


def resolve_snapshot(rest: Callable[[], RestClient], store: str, namespace: str | None, text: str) -> SnapshotName:
    """The snapshot that a text names: itself, or the newest finished one of a group. Raises NotFound when the group has none.

    rest: asked for a client only when the server must be."""
    if text.count("/") > 1:
        return SnapshotName.parse(text)
    group = GroupName.parse(text)
    finished = [item for item in list_snapshots(rest(), store, namespace, group) if MANIFEST_NAME in file_names(item)]
    if not finished:
        raise NotFound(f"{group} has no finished snapshot", group=str(group))
    return name_of(finished[-1])


def parts(snapshot: SnapshotName) -> dict[str, Any]:
    """A snapshot as REST parameters."""
    return {"backup_type": snapshot.group.type.value, "backup_id": snapshot.group.id, "backup_time": snapshot.time}
