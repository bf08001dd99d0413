"""Backups and restores of our client against the server in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit.memory_server import BackupSession, MemoryServer, ReaderSession
from platevault.client.archive_spec import parse_specs
from platevault.client.backup import BackupPlan, BackupReport, run_backup
from platevault.client.encryption import PLAIN, Encryption
from platevault.client.open_session import open_backup, open_reader
from platevault.client.reader import SnapshotReader
from platevault.client.repository import Repository
from platevault.client.restore import RestoreOptions, restore_archive
from platevault.client.session import Session
from platevault.client.statistics import NoProgress
from platevault.client.trust import Trust
from platevault.formats.keys import CryptKey
from platevault.formats.names import ROOT, SnapshotName

FIRST = 1_718_000_000
BLOCK = 4 * 1024 * 1024


@dataclass
class MemorySite:
    """One group, `host/elsa`, whose snapshots follow each other by an hour. `warnings`: what backups told."""

    server: MemoryServer
    warnings: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Repository:
        return Repository("store", "127.0.0.1", self.server.port, "user@pbs!token")

    @property
    def trust(self) -> Trust:
        return Trust(self.server.fingerprint)

    @property
    def last(self) -> BackupSession:
        return self.server.store.backups[-1]

    @property
    def last_reader(self) -> ReaderSession:
        return self.server.store.readers[-1]

    def name(self, number: int = 0) -> SnapshotName:
        return SnapshotName.make("host", "elsa", FIRST + 3600 * number)

    def open_backup(self, number: int = 0) -> Session:
        return open_backup(self.repository, self.trust, {}, ROOT, self.name(number))

    def back_up(self, specs: Sequence[str], number: int = 0, encryption: Encryption = PLAIN) -> BackupReport:
        plan = BackupPlan(self.name(number), parse_specs(specs), encryption, warn=self.warnings.append)
        return run_backup(self.open_backup(number), plan)

    def open(self, number: int = 0, key: CryptKey | None = None) -> SnapshotReader:
        return SnapshotReader(open_reader(self.repository, self.trust, {}, ROOT, self.name(number)), key, self.name(number))

    def restore(
        self,
        archive: str,
        target: Path | None,
        number: int = 0,
        *,
        key: CryptKey | None = None,
        overwrite: bool = False,
        patterns: tuple[str, ...] = (),
    ) -> bytes:
        """What went to standard output; empty when there is a target."""
        stream, options = io.BytesIO(), RestoreOptions(patterns, overwrite=overwrite)
        with self.open(number, key) as reader:
            restore_archive(reader, archive, target, stream, options, NoProgress(), warn=self.warnings.append)
        return stream.getvalue()

    def change_file(self, name: str, change: Callable[[bytes], bytes], number: int = 0) -> None:
        """Let the server lie about a file of a snapshot."""
        files = self.server.store.snapshots[str(self.name(number))]
        files[name] = change(files[name])
