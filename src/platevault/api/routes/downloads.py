"""Files of a snapshot, as they are stored or decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from platevault.api.content_access import READ, require_owner, require_snapshot, sees_all
from platevault.api.content_params import SnapshotParams
from platevault.api.route import Call, Kind, RawReply, Route
from platevault.api.types import FileName
from platevault.errors import Invalid, NotFound
from platevault.formats import blob
from platevault.formats.manifest import CryptMode
from platevault.formats.names import ArchiveKind, archive_kind
from platevault.store.datastore import Datastore

PIECE_BYTES = 1024 * 1024


class FileParams(SnapshotParams):
    file_name: FileName


def download(call: Call, p: FileParams) -> RawReply:
    """A file as it is stored: a blob with its header, an index raw."""
    store = _open(call, p)
    archive_kind(p.file_name)
    file = store.open_file(p.ns, p.snapshot, p.file_name)
    size = file.seek(0, 2)
    file.seek(0)
    return RawReply(_pieces(file), length=size)


def download_decoded(call: Call, p: FileParams) -> RawReply:
    """The content of a file: a blob decoded, the chunks of an index put together. Encrypted ones are refused."""
    store = _open(call, p)
    kind = archive_kind(p.file_name)
    if kind is ArchiveKind.BLOB:
        return RawReply(_decoded_blob(store, p))
    if _is_encrypted(store, p):
        raise Invalid(f"cannot decode '{p.file_name}' - is encrypted")
    index = store.open_index(p.ns, p.snapshot, p.file_name)
    digests = [index.digest(number) for number in range(index.count)]
    return RawReply(_contents(store, digests), length=index.size)


def _open(call: Call, p: FileParams) -> Datastore:
    everything = sees_all(call, p.store, p.ns, [READ])
    store = call.app.datastores.get(p.store, "read")
    if not everything:
        require_owner(call, store, p.ns, p.group)
    require_snapshot(store, p.ns, p.snapshot)
    if not any(file.name == p.file_name for file in store.files(p.ns, p.snapshot)):
        raise NotFound(f"file '{p.file_name}' is not in snapshot '{p.snapshot}': No such file or directory")
    return store


def _decoded_blob(store: Datastore, p: FileParams) -> bytes:
    raw = store.read_file(p.ns, p.snapshot, p.file_name)
    if blob.kind_of(raw).is_encrypted:
        raise Invalid(f"cannot decode '{p.file_name}' - is encrypted")
    return blob.decode(raw)


def _is_encrypted(store: Datastore, p: FileParams) -> bool:
    file = store.read_manifest(p.ns, p.snapshot).file(p.file_name)
    return file is not None and file.crypt_mode is CryptMode.ENCRYPT


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _contents(store: Datastore, digests: list[bytes]) -> Iterator[bytes]:
    for digest in digests:
        yield blob.decode(store.chunks.load(digest))


ROUTES = [
    Route("GET", "/admin/datastore/{store}/download", download, FileParams, kind=Kind.RAW, priority="P0"),
    Route("GET", "/admin/datastore/{store}/download-decoded", download_decoded, FileParams, kind=Kind.RAW),
]
