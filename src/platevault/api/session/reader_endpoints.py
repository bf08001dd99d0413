"""The endpoints of a reader session. Source: spec wire-protocol §4."""

from __future__ import annotations

from typing import Any

from platevault.api.parameters import Params
from platevault.api.session.endpoint import BytesReply, FileReply, Query, Table
from platevault.api.session.files import open_or_404, subdirs
from platevault.api.types import Digest, FileName
from platevault.services.read_session import ReadSession

SPEEDTEST = BytesReply(b"A" * 1024 * 1024)


class DownloadParams(Params):
    file_name: FileName


class ChunkParams(Params):
    digest: Digest


def download(session: ReadSession, p: DownloadParams) -> FileReply:
    return FileReply(open_or_404(session.open_file, p.file_name))


def chunk(session: ReadSession, p: ChunkParams) -> FileReply:
    return FileReply(session.open_chunk(bytes.fromhex(p.digest)), with_length=True)


def index(session: ReadSession, p: Any) -> list[dict[str, str]]:
    return subdirs(TABLE)


TABLE: Table[ReadSession] = {
    ("GET", ""): Query(index),
    ("GET", "chunk"): Query(chunk, ChunkParams, is_frequent=True),
    ("GET", "download"): Query(download, DownloadParams),
    ("GET", "speedtest"): Query(lambda session, p: SPEEDTEST),
}
