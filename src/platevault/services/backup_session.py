"""A backup session: one snapshot being written, as a plain object that knows nothing of HTTP.

Source: spec wire-protocol §3. Used by the one thread of its connection. Until `finish` the snapshot has no manifest on disk, so a
crash at any moment leaves an unfinished snapshot, which everybody takes for what it is. Each method raises the error family that tells the
client what to do; the session stays usable after an error unless its `finish` had begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, TypeVar

from platevault.errors import Conflict, Invalid
from platevault.formats import blob, manifest
from platevault.formats.names import MANIFEST_NAME, ArchiveKind, InvalidName, archive_kind
from platevault.services.backup_writers import ArchiveWriter, DynamicArchive, FixedArchive, TakenName
from platevault.services.body_memory import BodyMemory
from platevault.services.chunk_upload import Announced, ChunkUpload
from platevault.services.known_chunks import KnownChunks
from platevault.services.previous_backup import PreviousBackup
from platevault.services.session_request import SessionRequest
from platevault.services.tasks import Task
from platevault.services.upload_statistics import UploadStatistics, closing_lines
from platevault.store.datastore import Datastore, Digest

log = logging.getLogger(__name__)

W = TypeVar("W", bound=ArchiveWriter)
ArchiveType = type[DynamicArchive] | type[FixedArchive]


class NotActive(Conflict):
    """The session is finished, or failed while finishing."""


class NoSuchWriter(Invalid):
    """No writer of this kind has the id, or it is closed. Fact: `wid`."""


class UnknownChunk(Invalid):
    """The chunk was neither uploaded in this session nor in an index fetched in it. Fact: `digest`."""


class State(Enum):
    """Of a session. FINISHING stays when finishing failed: then only a new session helps."""

    ACTIVE = "active"
    FINISHING = "failed while finishing"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Held:
    """What a session holds. locks: until `finish`; operation: until the end of the connection."""

    locks: ExitStack
    operation: ExitStack


class BackupSession:
    """Made by `backup_opening.open_backup`, which has taken the locks and made the snapshot directory."""

    def __init__(
        self,
        store: Datastore,
        request: SessionRequest,
        previous: PreviousBackup,
        held: Held,
        task: Task,
        *,
        verify: Callable[[SessionRequest], None],
    ) -> None:
        """verify: told at the end of the connection that there is a new snapshot."""
        self.request, self.task, self.previous = request, task, previous
        self.memory = BodyMemory()
        self.state = State.ACTIVE
        self._store, self._held, self._verify = store, held, verify
        self._known = KnownChunks()
        self._writers: dict[int, ArchiveWriter] = {}
        self._last_number = 0
        self._files = 0
        self._statistics = UploadStatistics()
        self._manifest: bytes | None = None

    def open_previous(self, name: str) -> BinaryIO:
        """A file of the previous snapshot; the chunks of an index become known. The caller closes it.

        Raises NoPrevious, InvalidName; NotFound for a missing blob, Corrupt for a broken index.
        """
        kind, previous = archive_kind(name), self.previous.name
        if kind is not ArchiveKind.BLOB:
            self._check_active()
            self._known.add_index(name, self.previous.index(name))
            self.task.log(f"register chunks in '{name}' from previous backup '{previous}'.")
        file = self.previous.open_file(name)
        self.task.log(f"download '{name}' from previous backup '{previous}'.")
        return file

    # --- chunks ---

    def begin_chunk(self, announced: Announced) -> ChunkUpload:
        """Receive a chunk; what may be wrong with its writer is told by `accept_chunk`, when it is in the store."""
        return ChunkUpload(self._store.chunks, announced, self.memory)

    def accept_chunk(self, kind: ArchiveType, wid: int, announced: Announced, upload: ChunkUpload) -> None:
        """The body is complete: store the chunk and register its digest. An error of the writer leaves the chunk in the store."""
        inserted = upload.finish()
        self._check_active()
        writer = self._writer(kind, wid)
        writer.check_usable()
        writer.accept(announced.size)
        writer.uploads.add(announced.size, inserted)
        self._known.add(announced.digest, announced.size)

    # --- indexes ---

    def create_dynamic(self, name: str) -> int:
        """Begin a dynamic index; returns the id of its writer."""
        _check_kind(name, ArchiveKind.DYNAMIC)
        self._check_active()
        file = self._taken(name) or self._store.create_dynamic_index(self.request.ns, self.request.snapshot, name)
        return self._register(DynamicArchive(self._last_number + 1, file))

    def create_fixed(self, name: str, size: int | None, reuse_csum: str | None) -> int:
        """Begin a fixed index of an image of `size` bytes; returns the id of its writer.

        reuse_csum: the index begins as a copy of the one that the previous snapshot has under this name and with this checksum.
        """
        _check_kind(name, ArchiveKind.FIXED)
        self._check_active()
        base = None if reuse_csum is None else self.previous.base(name, size, reuse_csum)
        file = self._taken(name) or self._store.create_fixed_index(self.request.ns, self.request.snapshot, name, size=size, base=base)
        return self._register(FixedArchive(self._last_number + 1, file, size=size, incremental=base is not None))

    def _taken(self, name: str) -> TakenName | None:
        return TakenName(name) if any(writer.name == name for writer in self._writers.values()) else None

    def _register(self, writer: ArchiveWriter) -> int:
        self._last_number = writer.number
        self._writers[writer.number] = writer
        self.task.log(f'created new {writer.kind} index {writer.number} ("{self.request.relative_path}/{writer.name}")')
        return writer.number

    def append(self, kind: ArchiveType, wid: int, entries: Sequence[tuple[Digest, int]]) -> None:
        """Add chunks (digest, start offset) to an index, one after the other: on an error the earlier ones stay."""
        for digest, offset in entries:
            size = self._known.size_of(digest)
            if size is None:
                raise UnknownChunk(f"no such chunk '{digest.hex()}' in this session", digest=digest)
            self._check_active()
            self._writer(kind, wid).append(offset, digest, size)

    def close_index(self, kind: ArchiveType, wid: int, *, count: int, size: int, csum: bytes) -> None:
        """Complete an index. Raises WriterRefused when count, size or checksum (32 bytes) are not those of what was appended."""
        self._check_active()
        writer = self._writer(kind, wid)
        writer.close(count, size, csum)
        del self._writers[wid]
        self._files += 1
        self._statistics.include(writer.uploads)
        for line in closing_lines(writer.name, writer.uuid, csum, writer.size, writer.count, writer.uploads):
            self.task.log(line)
        self.task.log(f"successfully closed {writer.kind} index {wid}")

    def _writer(self, kind: type[W], wid: int) -> W:
        writer = self._writers.get(wid)
        if not isinstance(writer, kind):
            raise NoSuchWriter(f"{kind.kind} writer '{wid}' is not registered", wid=wid)
        return writer

    # --- blobs ---

    def write_blob(self, name: str, encoded: bytes | bytearray) -> None:
        """Store an encoded blob under its name, in place of an older one; also after `finish`. Raises Invalid, Corrupt, Unavailable."""
        _check_kind(name, ArchiveKind.BLOB)
        blob.check_crc(encoded)
        if name == MANIFEST_NAME and self.state is not State.FINISHED:
            self._manifest = bytes(encoded)  # in the directory it would make the snapshot visible: see `finish`
        else:
            self._store.write_blob(self.request.ns, self.request.snapshot, name, memoryview(encoded))
        self._files += 1
        self._statistics.size += len(encoded)
        self.task.log(f'add blob "{self.request.relative_path}/{name}" ({len(encoded)} bytes, comp: {len(encoded)})')

    # --- the end ---

    def finish(self) -> None:
        """Make the snapshot visible. On return it survives a power cut, as far as the sync level of the datastore promises.

        Order: all that the manifest reaches, the manifest, its name; then the locks go, so that the next backup of the group may begin.
        """
        self._check_finishable()
        self.state = State.FINISHING
        described = self._uploaded_manifest().with_unprotected(chunk_upload_stats=self._statistics.as_json())
        self.task.log(f"syncing datastore '{self.request.store}'")
        self._store.write_blob(self.request.ns, self.request.snapshot, MANIFEST_NAME, manifest.encode_blob(described))
        self.state = State.FINISHED
        self._held.locks.close()
        self.task.log("successfully finished backup")

    def _check_finishable(self) -> None:
        self._check_active()
        if self._writers:
            raise Conflict(f"found open index writer for '{next(iter(self._writers.values())).name}' - unable to finish backup")
        if not self._files:
            raise Invalid("backup does not contain valid files (file count == 0)")
        if self.previous.has_vanished():
            raise Conflict(f"previous backup '{self.previous.name}' was removed during the backup")

    def _uploaded_manifest(self) -> manifest.Manifest:
        if self._manifest is None:
            raise Invalid(f"backup has no manifest '{MANIFEST_NAME}'")
        return manifest.decode_blob(self._manifest)

    def end(self, trouble: str | None) -> None:
        """The connection has ended: keep or remove the snapshot, give everything back, end the task. Never raises.

        trouble: what broke the connection, None when the client closed it.
        """
        error = None
        if self.request.benchmark:
            self._remove("removing benchmark backup")
        elif self.state is not State.FINISHED:
            error = trouble or "backup ended but it was not finished"
            self.task.log(f"backup failed: {error}")
            self._remove("removing failed backup")
        else:
            self.task.log("backup finished successfully" if trouble is None else f"backup finished, then the connection broke: {trouble}")
        self._let_go()
        self.task.finish(error)
        if self.state is State.FINISHED:
            self._attempt(lambda: self._verify(self.request))

    def _remove(self, why: str) -> None:
        self.task.log(why)
        request, self.state = self.request, State.FINISHING
        for writer in self._writers.values():
            self._attempt(writer.drop)
        self._attempt(lambda: self._store.remove_snapshot(request.ns, request.snapshot, force=True, locked=True))

    def _let_go(self) -> None:
        self._attempt(self._held.locks.close)
        if self.state is not State.FINISHED:
            self._attempt(lambda: self._store.remove_empty_group(self.request.ns, self.request.group))
        self._attempt(self._held.operation.close)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Do one step of cleaning up; what it cannot do must not keep the next step from being done."""
        try:
            action()
        except Exception as error:
            log.exception("cleaning up after backup %s", self.task.upid)
            self.task.log(f"cleaning up failed: {error}")

    def _check_active(self) -> None:
        if self.state is not State.ACTIVE:
            raise NotActive(f"this backup is not active any more: it is {self.state.value}")


def _check_kind(name: str, wanted: ArchiveKind) -> None:
    if archive_kind(name) is not wanted:
        raise InvalidName(f"wrong archive extension: '{name}' does not end in '.{wanted.value}'", name=name)
