"""Backup and reader sessions as plain objects on a real site, without a wire."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kit.session_server import sparse_chunks
from kit.site import STORE, Site, open_site
from platevault.formats import blob
from platevault.formats.names import ROOT, Namespace, SnapshotName
from platevault.formats.upid import Upid
from platevault.services.backup_opening import open_backup
from platevault.services.backup_session import ArchiveType, BackupSession
from platevault.services.backup_writers import DynamicArchive
from platevault.services.chunk_upload import Announced
from platevault.services.read_session import ReadSession, open_reader
from platevault.services.session_request import SessionRequest
from platevault.services.task_rows import TaskFilter, TaskRow
from platevault.store.filesystem.datastore import FilesystemDatastore

FIRST = 1_718_000_000
NOTHING: Callable[[], None] = lambda: None  # noqa: E731


def request(number: int = 0, *, group: str = "host/elsa", ns: Namespace = ROOT, auth_id: str = "root@pam") -> SessionRequest:
    """For the snapshot `number` hours after the first."""
    backup_type, backup_id = group.split("/")
    return SessionRequest(STORE, ns, SnapshotName.make(backup_type, backup_id, FIRST + 3600 * number), auth_id, "192.0.2.1")


@dataclass
class Place:
    """A site, and its datastore as sessions see it."""

    site: Site

    @property
    def store(self) -> FilesystemDatastore:
        return self.site.services.datastores.get(STORE, "any")

    @property
    def path(self) -> Path:
        return self.site.where / STORE

    def open(self, wanted: SessionRequest | None = None, *, on_abort: Callable[[], None] = NOTHING) -> BackupSession:
        services = self.site.services
        return open_backup(services.datastores, services.tasks, services.clock, wanted or request(), on_abort=on_abort)

    def read(self, wanted: SessionRequest | None = None, *, owned_only: bool = False) -> ReadSession:
        services = self.site.services
        return open_reader(services.datastores, services.tasks, wanted or request(), owned_only=owned_only, on_abort=NOTHING)

    def done(self, number: int = 0, chunks: Sequence[bytes] = (b"content",)) -> None:
        """A whole backup."""
        session = self.open(request(number))
        archive(session, "root.pxar.didx", chunks)
        manifest(session)
        session.finish()
        session.end(None)

    def times(self, group: str = "host/elsa") -> list[int]:
        """Hours after the first, of finished snapshots."""
        entries = self.store.snapshots(ROOT, request(group=group).group)
        return sorted((entry.name.time - FIRST) // 3600 for entry in entries if entry.finished)

    def directories(self) -> list[str]:
        """Groups and snapshots on disk, finished or not, by path."""
        found = [item for kind in ("host", "vm", "ct") for item in (self.path / kind).glob("*")]
        found += [item for group in found for item in group.iterdir() if item.is_dir()]
        return sorted(str(item.relative_to(self.path)) for item in found)

    def task(self, worker_type: str = "backup") -> TaskRow:
        """The newest of a type."""
        rows = self.site.services.tasks.rows.page(TaskFilter(type_part=worker_type), lambda row: True, start=0, limit=500)
        return max(rows, key=lambda row: Upid.parse(row.upid).task_id)

    def log(self, worker_type: str = "backup") -> list[str]:
        lines, _ = self.site.services.tasks.log_lines(self.task(worker_type).upid, 0, 0)
        return [text[27:] for _, text in lines]


@contextmanager
def place_for_sessions(where: Path, *, tuning: str = "sync-level=none") -> Iterator[Place]:
    """A site for the length of a block."""
    with sparse_chunks(), open_site(where) as site:
        configs = site.services.datastores.configs
        configs.update(replace(configs.get(STORE), tuning=tuning))
        yield Place(site)


def upload(session: BackupSession, wid: int, data: bytes, kind: ArchiveType = DynamicArchive) -> bytes:
    """Upload a chunk for an archive; returns its digest."""
    encoded = blob.encode(data)
    announced = Announced(hashlib.sha256(data).digest(), len(data), len(encoded))
    body = session.begin_chunk(announced)
    body.feed(memoryview(encoded))
    session.accept_chunk(kind, wid, announced, body)
    return announced.digest


def archive(session: BackupSession, name: str, chunks: Sequence[bytes]) -> None:
    """Write a whole dynamic archive."""
    wid, end, entries, csum = session.create_dynamic(name), 0, [], b""
    for data in chunks:
        entries.append((upload(session, wid, data), end))
        end += len(data)
        csum += struct.pack("<Q", end) + entries[-1][0]
    session.append(DynamicArchive, wid, entries)
    session.close_index(DynamicArchive, wid, count=len(chunks), size=end, csum=hashlib.sha256(csum).digest())


def manifest(session: BackupSession, **unprotected: object) -> None:
    """Upload a manifest that names nothing."""
    name = session.request.snapshot
    content: dict[str, object] = {"backup-type": name.group.type.value, "backup-id": name.group.id, "backup-time": name.time, "files": []}
    session.write_blob("index.json.blob", blob.encode(json.dumps(content | {"unprotected": unprotected}).encode()))
