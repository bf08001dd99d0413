"""Names in the archives of a snapshot, from its catalog.

Source: spec rest-api §10.3. A path is base64; `root` and `/` list the archives. Listing the tree of a split archive from its own
metadata (`archive-name`) comes with the file-level restore.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from platevault.api.content_access import READ, require_owner, require_snapshot, sees_all
from platevault.api.content_params import SnapshotParams
from platevault.api.route import Call, Route
from platevault.api.statuses import NotServed
from platevault.api.types import FileName
from platevault.errors import Invalid, NotFound
from platevault.formats.catalog import CatalogReader, Entry, EntryKind
from platevault.formats.manifest import CryptMode
from platevault.formats.names import CATALOG_NAME
from platevault.services.index_file import IndexFile

ROOT_WORDS = ("root", "/")


class CatalogParams(SnapshotParams):
    filepath: str
    archive_name: FileName | None = None


def list_catalog(call: Call, p: CatalogParams) -> list[dict[str, Any]]:
    """The entries of one directory."""
    everything = sees_all(call, p.store, p.ns, [READ])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    if p.archive_name not in (None, CATALOG_NAME):
        raise NotServed("listing an archive by its own metadata")
    require_snapshot(store, p.ns, p.snapshot)
    listed = store.read_manifest(p.ns, p.snapshot).file(CATALOG_NAME)
    if listed is None:
        raise NotFound(f"snapshot '{p.snapshot}' has no '{CATALOG_NAME}': No such file or directory")
    if listed.crypt_mode is CryptMode.ENCRYPT:
        raise Invalid(f"cannot decode '{CATALOG_NAME}' - is encrypted")
    path = _path(p.filepath)
    file = IndexFile(store, store.open_index(p.ns, p.snapshot, CATALOG_NAME))
    reader = CatalogReader(file.read_at, file.size)
    return [_item(path, entry) for entry in reader.entries(_table(reader, path))]


def _path(text: str) -> list[bytes]:
    """The components that base64 text names."""
    if text in ROOT_WORDS:
        return []
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("error decoding base64 data") from None
    return [part for part in raw.split(b"/") if part]


def _table(reader: CatalogReader, path: list[bytes]) -> int:
    table = reader.root
    for depth, name in enumerate(path):
        found = next((entry for entry in reader.entries(table) if entry.name == name), None)
        if found is None or found.kind is not EntryKind.DIRECTORY:
            shown = b"/".join(path[: depth + 1]).decode(errors="replace")
            raise NotFound(f'path "/{shown}" not found in catalog')
        table = found.table
    return table


def _item(path: list[bytes], entry: Entry) -> dict[str, Any]:
    """The path leads on: it is what to ask with next."""
    where = b"/".join([*path, entry.name]) if path else b"/" + entry.name
    item: dict[str, Any] = {
        "filepath": base64.b64encode(where).decode(),
        "text": entry.name.decode(errors="replace"),
        "type": entry.kind.value.decode(),
        "leaf": entry.kind is not EntryKind.DIRECTORY,
    }
    return item | {"size": entry.size, "mtime": entry.mtime} if entry.kind is EntryKind.FILE else item


ROUTES = [Route("GET", "/admin/datastore/{store}/catalog", list_catalog, CatalogParams, slow=True)]
