"""Write one snapshot: the archives in their order, the catalog, the wrapped key, the manifest last, then `finish`.

Source: spec wire-protocol §6.2, §6.3, §6.8, formats §5. The snapshot exists when `finish` was answered with 200, not before. On any failure
the connection is dropped and the server forgets what was begun.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from platevault.client.archive_spec import ArchiveSpec, SourceKind
from platevault.client.backup_blob import back_up_blob, read_small_file, upload_blob
from platevault.client.backup_image import back_up_image
from platevault.client.backup_tree import CatalogUpload, back_up_tree
from platevault.client.chunk_sender import ChunkSender
from platevault.client.encryption import PLAIN, Encryption
from platevault.client.index_writer import ClosedIndex
from platevault.client.known_chunks import KnownChunks
from platevault.client.previous import Previous
from platevault.client.session import Session
from platevault.client.statistics import Counters, NoProgress, Progress
from platevault.client.tree.options import TreeOptions
from platevault.client.tree.tree_log import TreeLog
from platevault.client.workers import Workers
from platevault.formats import blob, manifest
from platevault.formats.manifest import CryptMode, Manifest, ManifestFile
from platevault.formats.master_key import WRAPPED_KEY_NAME
from platevault.formats.names import CATALOG_NAME, MANIFEST_NAME, SnapshotName


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What to write. `warn` gets one line for each thing that was left out or could not be reused."""

    snapshot: SnapshotName
    specs: list[ArchiveSpec]
    encryption: Encryption = PLAIN
    tree: TreeOptions = field(default_factory=TreeOptions)
    warn: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was written: the manifest's files, and figures for each archive by its server name.

    `skipped`: entries of directories that are missing or incomplete because they could not be read.
    """

    snapshot: SnapshotName
    files: list[ManifestFile]
    counters: dict[str, Counters]
    skipped: int = 0


def run_backup(session: Session, plan: BackupPlan, progress: Progress | None = None) -> BackupReport:
    """Write the snapshot and finish it. session: a backup session for exactly this snapshot; closed on return.

    Raises UnreadableSource, NotFound or Invalid for a source, a Refused with the server's text, Unavailable when the connection is lost.
    """
    workers = Workers()
    run = _Run(session, plan, workers, progress or NoProgress())
    try:
        report = run.all()
        workers.stop()
        session.close()
        return report
    except BaseException:
        # Closed first, so that no worker and no thread of an index waits for a server.
        session.close()
        workers.stop(drop=True)
        run.abandon()
        raise


class _Run:
    """The steps of one backup, in order."""

    def __init__(self, session: Session, plan: BackupPlan, workers: Workers, progress: Progress) -> None:
        self._session, self._plan, self._workers, self._progress = session, plan, workers, progress
        self._known = KnownChunks()
        self._sender = ChunkSender(session, self._known, plan.encryption.data_key)
        self._files: list[ManifestFile] = []
        self._counters: dict[str, Counters] = {}
        self._catalog: CatalogUpload | None = None
        self._log = TreeLog(plan.warn)

    def all(self) -> BackupReport:
        previous = Previous(self._session, self._plan.encryption, self._plan.warn)
        for spec in self._plan.specs:
            if spec.kind in (SourceKind.TREE, SourceKind.IMAGE):
                previous.learn(spec.stored_name, self._known)
            self._archive(spec)
        self._close_catalog()
        self._key()
        self._manifest()
        self._session.call("finishing the backup", "POST", "/finish")
        return BackupReport(self._plan.snapshot, self._files, self._counters, self._log.skipped)

    def abandon(self) -> None:
        """After a failure, when the session is closed."""
        if self._catalog is not None:
            self._catalog.abandon()

    def _archive(self, spec: ArchiveSpec) -> None:
        mode, name = self._plan.encryption.mode, spec.stored_name
        if spec.kind in (SourceKind.CONF, SourceKind.LOG):
            data = read_small_file(spec.path)
            self._files.append(back_up_blob(self._session, data, name, key=self._plan.encryption.data_key, mode=mode))
            return
        counters = self._counters[name] = Counters()
        if spec.kind is SourceKind.IMAGE:
            closed = back_up_image(self._session, self._sender, self._workers, spec.path, name, counters=counters, progress=self._progress)
        else:
            closed = self._tree(spec, counters)
        self._add_index(name, closed)

    def _tree(self, spec: ArchiveSpec, counters: Counters) -> ClosedIndex:
        if self._catalog is None:
            catalog_counters = self._counters[CATALOG_NAME] = Counters()
            self._catalog = CatalogUpload(self._session, self._sender, self._workers, catalog_counters)
        return back_up_tree(
            self._session,
            self._sender,
            self._workers,
            spec,
            self._catalog,
            options=self._plan.tree,
            counters=counters,
            progress=self._progress,
            log=self._log,
        )

    def _close_catalog(self) -> None:
        if self._catalog is not None:
            self._add_index(CATALOG_NAME, self._catalog.close())
            self._catalog = None

    def _add_index(self, name: str, closed: ClosedIndex) -> None:
        self._files.append(ManifestFile(name, closed.size, closed.csum, self._plan.encryption.mode))

    def _key(self) -> None:
        wrapped, mode = self._plan.encryption.wrapped_key, self._plan.encryption.mode
        if wrapped is not None and mode is not CryptMode.NONE:
            encoded = blob.encode(wrapped, compress=False)
            self._files.append(upload_blob(self._session, encoded, WRAPPED_KEY_NAME, mode=mode))

    def _manifest(self) -> None:
        snapshot, key = self._plan.snapshot, self._plan.encryption.signing_key
        unsigned = Manifest(snapshot.group.type, snapshot.group.id, snapshot.time, tuple(self._files), {}, None)
        signed = unsigned if key is None else unsigned.signed(key)
        upload_blob(self._session, manifest.encode_blob(signed), MANIFEST_NAME, mode=CryptMode.NONE)
