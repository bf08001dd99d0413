"""`platevault restore`: bring an archive of a snapshot back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from platevault.cli.client_key_options import KeyFdOption, KeyFileOption, KeyOptions
from platevault.cli.client_options import FingerprintOption, NamespaceOption, RepositoryOption, VerboseOption, open_client
from platevault.cli.client_snapshot import open_snapshot
from platevault.cli.exit_codes import INCOMPLETE
from platevault.cli.output import note, progress


def restore(
    snapshot: Annotated[str, typer.Argument(help="TYPE/ID/TIME, or TYPE/ID for its newest snapshot.")],
    archive: Annotated[str, typer.Argument(help="Name of the archive, e.g. root.pxar, disk.img, vm.conf, index.json.")],
    target: Annotated[str, typer.Argument(help="Directory, file or block device; - for standard output.")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    pattern: Annotated[list[str] | None, typer.Option("--pattern", help="Restore only what matches; of a .pxar.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    allow_existing_dirs: Annotated[bool, typer.Option("--allow-existing-dirs", help="Restore into directories that exist.")] = False,
    keyfile: KeyFileOption = None,
    keyfd: KeyFdOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Draw no progress.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Restore one archive. Everything is checked against the digests of the snapshot before it is written."""
    from platevault.client.restore import RestoreOptions, restore_archive

    client = open_client(repository, fingerprint, namespace)
    options = RestoreOptions(tuple(pattern or ()), overwrite=overwrite, allow_existing_dirs=allow_existing_dirs)
    place = None if target == "-" else Path(target)
    shown = progress(quiet=quiet or place is None)
    with open_snapshot(client, snapshot, KeyOptions(keyfile, keyfd)) as reader:
        skipped = restore_archive(reader, archive, place, sys.stdout.buffer, options, shown, warn=lambda text: note(f"warning: {text}"))
    if skipped:
        note(f"{skipped} entries could not be restored")
        raise typer.Exit(INCOMPLETE)
