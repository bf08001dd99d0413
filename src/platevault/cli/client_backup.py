"""`platevault backup`: write a snapshot of directories, images and small files."""

from __future__ import annotations

import gc
import socket
import time
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_key_options import (
    CryptModeOption,
    KeyFdOption,
    KeyFileOption,
    KeyOptions,
    MasterFdOption,
    MasterOption,
    encryption,
)
from platevault.cli.client_options import FingerprintOption, NamespaceOption, OutputOption, RepositoryOption, VerboseOption, open_client
from platevault.cli.exit_codes import INCOMPLETE
from platevault.cli.output import OutputFormat, format_bytes, note, output, progress

if TYPE_CHECKING:
    from platevault.client.backup import BackupReport

MAX_WARNINGS_SHOWN = 50


def backup(
    archives: Annotated[list[str], typer.Argument(help="NAME.pxar:DIRECTORY, NAME.img:FILE-OR-DEVICE, NAME.conf:FILE, NAME.log:FILE")],
    repository: RepositoryOption = None,
    fingerprint: FingerprintOption = None,
    namespace: NamespaceOption = "",
    backup_type: Annotated[str, typer.Option("--backup-type", help="vm, ct or host.")] = "host",
    backup_id: Annotated[str | None, typer.Option("--backup-id", help="Name of the group; this machine's name if left out.")] = None,
    backup_time: Annotated[int | None, typer.Option("--backup-time", help="Seconds since 1970; now if left out.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of names to leave out, as in .pxarexclude.")] = None,
    include_dev: Annotated[list[str] | None, typer.Option("--include-dev", help="Mount point to cross into.")] = None,
    all_file_systems: Annotated[bool, typer.Option("--all-file-systems", help="Cross into every mounted file system.")] = False,
    entries_max: Annotated[
        int | None, typer.Option("--entries-max", help="Most entries of a directory and all above it; 1048576 if left out.")
    ] = None,
    keyfile: KeyFileOption = None,
    keyfd: KeyFdOption = None,
    master_pubkey_file: MasterOption = None,
    master_pubkey_fd: MasterFdOption = None,
    crypt_mode: CryptModeOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Draw no progress.")] = False,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Write one snapshot. What the server already has from the previous snapshot of the group is not sent again."""
    from platevault.client.archive_spec import parse_specs
    from platevault.client.backup import BackupPlan, run_backup
    from platevault.client.tree.options import TreeOptions
    from platevault.clock import SystemClock
    from platevault.formats.names import SnapshotName

    client = open_client(repository, fingerprint, namespace)
    specs = parse_specs(archives)
    made = encryption(KeyOptions(keyfile, keyfd, master_pubkey_file, crypt_mode, master_pubkey_fd))
    snapshot = SnapshotName.make(backup_type, backup_id or socket.gethostname().partition(".")[0], backup_time or int(SystemClock().now()))
    tree = TreeOptions(tuple(exclude or ()), tuple(include_dev or ()), all_file_systems=all_file_systems, entries_max=entries_max)
    warnings = _Warnings()
    plan = BackupPlan(snapshot, specs, made, tree, warnings)
    gc.freeze()  # what has been imported stays: the collector need not look through it again and again
    begin = time.monotonic()
    report = run_backup(client.open_backup(snapshot), plan, progress(quiet=quiet))
    seconds = time.monotonic() - begin
    output(chosen).value(_as_json(report, seconds), _as_text(report, seconds))
    warnings.end(report.skipped)
    if report.skipped:
        raise typer.Exit(INCOMPLETE)


class _Warnings:
    """Prints the first warnings as they come; the rest is only counted, or a broken disk would fill the screen."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, text: str) -> None:
        self._count += 1
        if self._count <= MAX_WARNINGS_SHOWN:
            note(f"warning: {text}")

    def end(self, skipped: int) -> None:
        if self._count > MAX_WARNINGS_SHOWN:
            note(f"warning: {self._count - MAX_WARNINGS_SHOWN} more warnings are not shown")
        if skipped:
            note(f"{skipped} entries could not be read and are missing in the snapshot")


def _as_json(report: BackupReport, seconds: float) -> dict[str, object]:
    return {
        "snapshot": str(report.snapshot),
        "duration": round(seconds, 3),
        "skipped": report.skipped,
        "files": [
            {"filename": file.filename, "size": file.size, "crypt-mode": file.crypt_mode.value, "csum": file.csum}
            | _counts(report, file.filename)
            for file in report.files
        ],
    }


def _counts(report: BackupReport, name: str) -> dict[str, object]:
    counters = report.counters.get(name)
    if counters is None:
        return {}
    return {
        "chunks": counters.chunks,
        "uploaded-chunks": counters.uploaded_chunks,
        "reused": counters.reused_bytes,
        "sent": counters.sent_bytes,
    }


def _as_text(report: BackupReport, seconds: float) -> str:
    lines = [f"{report.snapshot}  {seconds:.1f} s"]
    for file in report.files:
        counters = report.counters.get(file.filename)
        line = f"  {file.filename}: {format_bytes(file.size)}"
        if counters is not None:
            sent = f"{format_bytes(counters.uploaded_bytes)} sent as {format_bytes(counters.sent_bytes)}"
            line += f", {format_bytes(counters.reused_bytes)} reused, {sent}"
        lines.append(line)
    return "\n".join(lines)
