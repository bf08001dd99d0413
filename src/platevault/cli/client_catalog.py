"""`platevault catalog dump`: the names in a snapshot, without reading its archives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platevault.cli.client_key_options import KeyFdOption, KeyFileOption, KeyOptions
from platevault.cli.client_options import FingerprintOption, NamespaceOption, OutputOption, RepositoryOption, VerboseOption, open_client
from platevault.cli.client_snapshot import open_snapshot
from platevault.cli.output import OutputFormat, output, printable

if TYPE_CHECKING:
    from platevault.formats.catalog import CatalogReader

app = typer.Typer(no_args_is_help=True, help="Look into the catalog of a snapshot.")


@app.command()
def dump(
    snapshot: Annotated[str, typer.Argument(help="TYPE/ID/TIME, or TYPE/ID for its newest snapshot.")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    keyfile: KeyFileOption = None,
    keyfd: KeyFdOption = None,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Print every entry of the catalog: kind, path, and for files size and time."""
    from platevault.client.archive_reader import ArchiveFile
    from platevault.formats.catalog import CatalogReader
    from platevault.formats.names import CATALOG_NAME

    client = open_client(repository, fingerprint, namespace)
    with open_snapshot(client, snapshot, KeyOptions(keyfile, keyfd)) as reader:
        file = ArchiveFile(reader, CATALOG_NAME)
        entries = _entries(CatalogReader(file.read_at, file.size))
        if chosen is OutputFormat.TEXT:  # as they come: a catalog has millions
            for entry in entries:
                print(_line(entry))
        else:
            output(chosen).value(list(entries), "")


def _entries(reader: CatalogReader) -> Iterator[dict[str, Any]]:
    from platevault.formats.catalog import EntryKind

    for path, entry in reader.walk():
        item: dict[str, Any] = {"kind": entry.kind.value.decode(), "path": os.fsdecode(path).encode("utf-8", "replace").decode()}
        if entry.kind is EntryKind.FILE:
            item |= {"size": entry.size, "mtime": entry.mtime}
        yield item


def _line(entry: dict[str, Any]) -> str:
    tail = f" {entry['size']} {entry['mtime']}" if "size" in entry else ""
    return f'{entry["kind"]} "{printable(entry["path"])}"{tail}'
