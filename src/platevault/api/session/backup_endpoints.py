"""The endpoints of a backup session. Source: spec wire-protocol §3.2-§3.11."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from platevault.api.parameters import Params
from platevault.api.session.bodies import Collected, Discarded
from platevault.api.session.endpoint import Command, FileReply, Query, Sending, Table
from platevault.api.session.files import open_or_404, subdirs
from platevault.api.types import Digest, FileName, Natural, Positive
from platevault.errors import Invalid
from platevault.formats import blob
from platevault.services.backup_session import ArchiveType, BackupSession
from platevault.services.backup_writers import DynamicArchive, FixedArchive
from platevault.services.chunk_upload import MIN_ENCODED_BYTES, Announced, ChunkUpload, WrongLength

WriterId = Annotated[int, Field(ge=1, le=256)]


class ArchiveParams(Params):
    archive_name: FileName


class FixedParams(ArchiveParams):
    size: Positive | None = None
    reuse_csum: str | None = None


class BlobParams(Params):
    file_name: FileName
    encoded_size: Annotated[int, Field(ge=blob.HEADER_BYTES, le=blob.MAX_BLOB_BYTES)]


class ChunkParams(Params):
    wid: WriterId
    digest: Digest
    size: Annotated[int, Field(ge=1, le=blob.MAX_CHUNK_BYTES)]
    encoded_size: Annotated[int, Field(ge=MIN_ENCODED_BYTES, le=blob.MAX_BLOB_BYTES)]


class AppendParams(Params):
    wid: WriterId
    digest_list: list[Digest]
    offset_list: list[Natural]


class FixedCloseParams(Params):
    wid: WriterId
    chunk_count: Natural
    size: Natural
    csum: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class DynamicCloseParams(FixedCloseParams):
    chunk_count: Positive
    size: Positive


class ChunkReceiver:
    """One chunk on its way into the session."""

    __slots__ = ("_announced", "_digest", "_kind", "_session", "_upload", "_wid", "abort", "feed")

    def __init__(self, session: BackupSession, kind: ArchiveType, p: ChunkParams) -> None:
        self._session, self._kind, self._wid, self._digest = session, kind, p.wid, p.digest
        self._announced = Announced(bytes.fromhex(p.digest), p.size, p.encoded_size)
        self._upload: ChunkUpload = session.begin_chunk(self._announced)
        self.feed = self._upload.feed
        self.abort = self._upload.abort

    def finish(self) -> str:
        self._session.accept_chunk(self._kind, self._wid, self._announced, self._upload)
        return self._digest


def receive_chunk(kind: ArchiveType, session: BackupSession, p: ChunkParams) -> ChunkReceiver:
    return ChunkReceiver(session, kind, p)


def receive_blob(session: BackupSession, p: BlobParams) -> Collected:
    def use(body: bytearray) -> None:
        if len(body) != p.encoded_size:
            raise WrongLength(f"blob has {len(body)} bytes, {p.encoded_size} were announced", expected=p.encoded_size, got=len(body))
        session.write_blob(p.file_name, body)

    return Collected(p.encoded_size, session.memory, use)


def append(kind: ArchiveType, session: BackupSession, p: AppendParams) -> None:
    if len(p.digest_list) != len(p.offset_list):
        raise Invalid(f"offset list has wrong length ({len(p.offset_list)} != {len(p.digest_list)})")
    session.append(kind, p.wid, list(zip(map(bytes.fromhex, p.digest_list), p.offset_list, strict=True)))


def close(kind: ArchiveType, session: BackupSession, p: FixedCloseParams) -> None:
    session.close_index(kind, p.wid, count=p.chunk_count, size=p.size, csum=bytes.fromhex(p.csum))


def previous(session: BackupSession, p: ArchiveParams) -> FileReply:
    return FileReply(open_or_404(session.open_previous, p.archive_name))


def index(session: BackupSession, p: Any) -> list[dict[str, str]]:
    return subdirs(TABLE)


TABLE: Table[BackupSession] = {
    ("GET", ""): Query(index),
    ("POST", "blob"): Sending(receive_blob, BlobParams),
    ("POST", "dynamic_index"): Command(lambda session, p: session.create_dynamic(p.archive_name), ArchiveParams),
    ("PUT", "dynamic_index"): Command(partial(append, DynamicArchive), AppendParams),
    ("POST", "dynamic_chunk"): Sending(partial(receive_chunk, DynamicArchive), ChunkParams, is_frequent=True),
    ("POST", "dynamic_close"): Command(partial(close, DynamicArchive), DynamicCloseParams),
    ("POST", "fixed_index"): Command(lambda session, p: session.create_fixed(p.archive_name, p.size, p.reuse_csum), FixedParams),
    ("PUT", "fixed_index"): Command(partial(append, FixedArchive), AppendParams),
    ("POST", "fixed_chunk"): Sending(partial(receive_chunk, FixedArchive), ChunkParams, is_frequent=True),
    ("POST", "fixed_close"): Command(partial(close, FixedArchive), FixedCloseParams),
    ("GET", "previous"): Query(previous, ArchiveParams),
    ("GET", "previous_backup_time"): Command(lambda session, p: session.previous.time),
    ("POST", "speedtest"): Sending(lambda session, p: Discarded(), is_frequent=True),
    ("POST", "finish"): Command(lambda session, p: session.finish()),
}
