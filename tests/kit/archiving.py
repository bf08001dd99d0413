"""Archive directories and read archives back, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from platevault.client.tree.archiver import archive_tree
from platevault.client.tree.options import TreeOptions
from platevault.client.tree.tree_log import TreeLog
from platevault.formats.catalog import CatalogReader, CatalogWriter
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.entry import Entry, Kind

ARCHIVE_NAME = b"full.pxar.didx"


@dataclass
class Archived:
    """The streams of an archive, what was warned of, and how many entries were skipped."""

    archive: bytes
    payload: bytes
    catalog: bytes
    warnings: list[str]
    skipped: int
    contents: dict[bytes, bytes] = field(default_factory=dict)
    entries: dict[bytes, Entry] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Paths in archive order, as `pxar list` prints them."""
        return ["/" + path.decode("utf-8", "backslashreplace") for path in self.entries]

    def catalog_kinds(self) -> dict[bytes, bytes]:
        """Kind of each entry of the catalog by path."""
        reader = CatalogReader(lambda offset, size: self.catalog[offset : offset + size], len(self.catalog))
        return {path.removeprefix(ARCHIVE_NAME).lstrip(b"/"): entry.kind.value for path, entry in reader.walk()}


def archive(root: Path, options: TreeOptions | None = None, *, split: bool = False) -> Archived:
    """The archive of a directory, taken apart again."""
    out, payload, catalog, warnings = bytearray(), bytearray(), bytearray(), list[str]()
    encoder = Encoder(out.extend, payload.extend if split else None)
    writer = CatalogWriter(catalog.extend)
    writer.start_directory(ARCHIVE_NAME)
    log = TreeLog(warnings.append)
    archive_tree(root, encoder, writer, options or TreeOptions(), log)
    encoder.finish()
    writer.end_directory()
    writer.finish()
    made = Archived(bytes(out), bytes(payload), bytes(catalog), warnings, log.skipped)
    _take_apart(made)
    return made


def _take_apart(made: Archived) -> None:
    decoder, folders = Decoder(BytesIO(made.archive).read), [b""]
    for entry in decoder:
        if entry.kind is Kind.END:
            folders.pop()
            continue
        path = folders[-1] + entry.name
        made.entries[path] = entry
        if entry.kind is Kind.DIRECTORY:
            folders.append(path + b"/" if path else b"")
        elif entry.kind is Kind.FILE:
            made.contents[path] = b"".join(decoder.content())
