"""A raw backup client with ready-made chunks, so that a measurement shows the server and not a client's reading and hashing.

As a process, `python -m bench.sender BACKUP_ID KIND BYTES` prepares its chunks, prints `ready`, waits for a line on standard input, sends.
Kinds: plain, encrypted (random bytes that look like it: the server cannot tell), zstd (compressible).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import time
import zlib
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import urlsplit

import zstandard

from bench.data import BLOCK_BYTES, random_chunks
from platevault.client.connect import BACKUP_PROTOCOL, open_session_link
from platevault.client.repository import Repository
from platevault.client.trust import Trust
from platevault.wire.http2.call import Answer
from platevault.wire.http2.client import ClientConnection

PLAIN = bytes.fromhex("42ab3807be8370a1")
ZSTD = bytes.fromhex("31b958426fb6a37f")
ENCRYPTED = bytes.fromhex("7b6785be222d4cf0")
APPEND = 128


@dataclass(frozen=True)
class Chunk:
    digest: bytes
    blob: bytes
    size: int


def prepare(kind: str, size: int) -> list[Chunk]:
    return [_chunk(kind, data) for data in random_chunks(size)]


def _chunk(kind: str, data: bytes) -> Chunk:
    if kind == "encrypted":
        return Chunk(os.urandom(32), ENCRYPTED + struct.pack("<I", zlib.crc32(data)) + os.urandom(32) + data, len(data))
    if kind == "zstd":
        data = data[: len(data) // 4] + bytes(range(256)) * (3 * len(data) // 1024)
        frame = zstandard.ZstdCompressor(level=1).compress(data)
        return Chunk(hashlib.sha256(data).digest(), ZSTD + struct.pack("<I", zlib.crc32(frame)) + frame, len(data))
    return Chunk(hashlib.sha256(data).digest(), PLAIN + struct.pack("<I", zlib.crc32(data)) + data, len(data))


def target() -> tuple[Repository, Trust, dict[str, str]]:
    """Server, trust and proof of identity from what `scripts/with-server` set."""
    url = urlsplit(os.environ["CONF_URL"])
    repository = Repository(os.environ["CONF_STORE"], url.hostname or "", url.port or 8007, os.environ["CONF_TOKENID"])
    authorization = f"PBSAPIToken={os.environ['CONF_TOKENID']}:{os.environ['CONF_TOKEN']}"
    return repository, Trust(os.environ["CONF_FINGERPRINT"]), {"authorization": authorization}


def open_session(backup_id: str, protocol: str = BACKUP_PROTOCOL, backup_time: int | None = None) -> ClientConnection:
    repository, trust, headers = target()
    moment = int(time.time()) if backup_time is None else backup_time
    parameters = {"backup-type": "vm", "backup-id": backup_id, "backup-time": moment, "store": repository.store}
    return ClientConnection(open_session_link(repository, trust, protocol, parameters, headers))


def checked(pending: Future[Answer]) -> bytes:
    answer = pending.result()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {bytes(answer.body).decode(errors='replace')}")
    return bytes(answer.body)


def send_snapshot(backup_id: str, chunks: list[Chunk], backup_time: int | None = None) -> None:
    """Write one snapshot of one image."""
    moment = int(time.time()) if backup_time is None else backup_time
    connection = open_session(backup_id, backup_time=moment)
    try:
        entry = _send_image(connection, chunks)
        manifest = {
            "backup-type": "vm",
            "backup-id": backup_id,
            "backup-time": moment,
            "files": [entry],
            "unprotected": {},
            "signature": None,
        }
        text = json.dumps(manifest).encode()
        blob = PLAIN + struct.pack("<I", zlib.crc32(text)) + text
        checked(connection.request("POST", "/blob", query={"file-name": "index.json.blob", "encoded-size": len(blob)}, body=blob))
        checked(connection.request("POST", "/finish"))
    finally:
        connection.close()


def _send_image(connection: ClientConnection, chunks: list[Chunk]) -> dict[str, object]:
    size = sum(chunk.size for chunk in chunks)
    name = "drive-scsi0.img.fidx"
    writer = json.loads(checked(connection.request("POST", "/fixed_index", query={"archive-name": name, "size": size})))["data"]
    pending = [_upload(connection, writer, chunk) for chunk in chunks]
    for future in pending:
        checked(future)
    for start in range(0, len(chunks), APPEND):
        part = chunks[start : start + APPEND]
        body = {
            "wid": writer,
            "digest-list": [chunk.digest.hex() for chunk in part],
            "offset-list": [(start + number) * BLOCK_BYTES for number in range(len(part))],
        }
        checked(connection.request("PUT", "/fixed_index", body=json.dumps(body).encode(), content_type="application/json"))
    csum = hashlib.sha256(b"".join(chunk.digest for chunk in chunks)).hexdigest()
    checked(connection.request("POST", "/fixed_close", query={"wid": writer, "chunk-count": len(chunks), "size": size, "csum": csum}))
    return {"filename": name, "crypt-mode": "none", "size": size, "csum": csum}


def _upload(connection: ClientConnection, writer: int, chunk: Chunk) -> Future[Answer]:
    query = {"wid": writer, "digest": chunk.digest.hex(), "size": chunk.size, "encoded-size": len(chunk.blob)}
    return connection.request("POST", "/fixed_chunk", query=query, body=chunk.blob)


def main(backup_id: str, kind: str, size: str) -> None:
    chunks = prepare(kind, int(size))
    print("ready", flush=True)
    sys.stdin.readline()
    send_snapshot(backup_id, chunks)


if __name__ == "__main__":
    main(*sys.argv[1:])
