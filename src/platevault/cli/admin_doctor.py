"""`platevault doctor`: what is wrong with this machine, the server's state and its datastores, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_options import OutputOption, VerboseOption
from platevault.cli.exit_codes import FAILED
from platevault.cli.local_state import StateDirOption, local_settings
from platevault.cli.output import OutputFormat, output

if TYPE_CHECKING:
    from platevault.config.database import Database
    from platevault.config.settings import Settings
    from platevault.services.checkup.finding import Finding

MARKS = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}


def doctor(
    state_dir: StateDirOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what needs somebody; errors alone give status 1.")] = False,
    chosen: OutputOption = OutputFormat.TEXT,
    verbose: VerboseOption = False,
) -> None:
    """Check clock, limits, chunker, state, certificate and datastores. Status 1 when something needs somebody."""
    from platevault.services.checkup.finding import Level

    found = list(_findings(local_settings(state_dir)))
    shown = [finding for finding in found if not quiet or finding.level is not Level.OK]
    rows = [{"check": one.check, "level": one.level.value, "message": one.message, "advice": one.advice} for one in shown]
    output(chosen).value(rows, "\n".join(_text(finding) for finding in shown))
    failing = {Level.ERROR} if quiet else {Level.ERROR, Level.WARNING}
    if any(finding.level in failing for finding in found):
        raise typer.Exit(FAILED)


def _text(finding: Finding) -> str:
    line = f"{MARKS[finding.level]}  {finding.check}: {finding.message}"
    return f"{line}\n         -> {finding.advice}" if finding.advice else line


def _findings(settings: Settings) -> Iterator[Finding]:
    from platevault.config.database import DatabaseFailed, open_database
    from platevault.formats import chunker
    from platevault.services.checkup import finding, machine, state

    yield machine.check_open_files()
    yield machine.check_chunker(chunker.IMPLEMENTATION)
    yield state.check_state_dir(settings.state_dir)
    yield _certificate(settings)
    try:
        database = open_database(settings.database)
    except DatabaseFailed as problem:
        yield finding.error("state database", str(problem), "check disk and permissions, or restore the state directory from its backup")
        return
    try:
        yield from _in_database(database)
    finally:
        database.close()


def _certificate(settings: Settings) -> Finding:
    from platevault.clock import SystemClock
    from platevault.services.certificate import CERTIFICATE_FILE, KEY_FILE, CertificateUnusable, load
    from platevault.services.checkup import finding, state

    certificate = settings.certificate_file or settings.state_dir / CERTIFICATE_FILE
    key = settings.key_file or settings.certificate_file or settings.state_dir / KEY_FILE
    if not certificate.exists() and settings.certificate_file is None:
        return finding.ok("certificate", "is made at the first start of the server")
    try:
        return state.check_certificate(load(certificate, key), SystemClock().now())
    except CertificateUnusable as problem:
        return finding.error("certificate", str(problem), "give the server a certificate and its key as PEM files that it can read")


def _in_database(database: Database) -> Iterator[Finding]:
    from platevault.clock import SystemClock
    from platevault.config.datastores import DatastoreConfigs
    from platevault.services.checkup import machine, state, storage
    from platevault.services.checkup.finding import Level

    sound = state.check_database(database)
    yield sound
    if sound.level is not Level.OK:
        return
    yield machine.check_clock(SystemClock().now(), state.newest_task_start(database))
    for datastore in DatastoreConfigs(database).all():
        yield from storage.check_datastore(datastore.name, Path(datastore.path))
