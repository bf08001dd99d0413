"""The real application behind a real listener, and HTTP/2 sessions with it by a client that we did not write."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kit.certificate import write_certificate
from kit.h2_client import Answer, H2Client
from kit.https_server import HttpsServer, https_server, read_answer
from kit.site import STORE, Site, open_site
from kit.stores import SparseChunks
from platevault.clock import ManualClock
from platevault.formats.names import ROOT, GroupName, Namespace
from platevault.formats.upid import Upid
from platevault.services.task_rows import TaskFilter, TaskRow
from platevault.store.datastore import SnapshotEntry
from platevault.store.filesystem.datastore import FilesystemDatastore

BACKUP, READER = "backup", "reader"
PROTOCOLS = {BACKUP: "proxmox-backup-protocol-v1", READER: "proxmox-backup-reader-protocol-v1"}
PLAIN, ZSTD, ENCRYPTED = (bytes.fromhex(magic) for magic in ("42ab3807be8370a1", "31b958426fb6a37f", "7b6785be222d4cf0"))
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
FIRST = 1718000000
WAIT_S = 60.0


def sealed(magic: bytes, payload: bytes, between: bytes = b"") -> bytes:
    """A blob made by hand: magic, CRC, `between` (IV and tag of an encrypted one), payload."""
    return magic + struct.pack("<I", zlib.crc32(payload)) + between + payload


class Rejected(Exception):
    """The upgrade was answered with something other than 101."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body.decode(errors='replace')}")
        self.status = status


class Peer(H2Client):
    """One session as its client sees it."""

    def call(
        self, method: str, path: str, query: Mapping[str, object] | None = None, body: bytes = b"", content_type: str | None = None
    ) -> Answer:
        """One request and its answer."""
        fields = () if content_type is None else (("content-type", content_type),)
        target = f"{path}?{urlencode(query)}" if query else path
        return self.answer(self.request(method, target, body, fields))

    def data(self, method: str, path: str, query: Mapping[str, object] | None = None, body: bytes = b"", **options: Any) -> Any:
        """`data` of an answer that must be a success."""
        answer = self.call(method, path, query, body, **options)
        assert answer.status == 200, f"{method} {path}: {answer.status} {bytes(answer.body)!r}"
        return json.loads(answer.body)["data"]

    def status(self, method: str, path: str, query: Mapping[str, object] | None = None, body: bytes = b"", **options: Any) -> int:
        return self.call(method, path, query, body, **options).status

    # --- steps of a backup ---

    def blob(self, name: str, encoded: bytes) -> Any:
        return self.data("POST", "/blob", {"encoded-size": len(encoded), "file-name": name}, encoded)

    @staticmethod
    def chunk_query(data: bytes, encoded: bytes, wid: int) -> dict[str, object]:
        return {"digest": hashlib.sha256(data).hexdigest(), "encoded-size": len(encoded), "size": len(data), "wid": wid}

    def chunk(self, kind: str, wid: int, data: bytes) -> str:
        """Upload a plain chunk; returns the digest that the server says."""
        encoded = sealed(PLAIN, data)
        return str(self.data("POST", f"/{kind}_chunk", self.chunk_query(data, encoded, wid), encoded))

    def append(self, kind: str, wid: int, digests: list[str], offsets: list[int]) -> Any:
        body = json.dumps({"wid": wid, "digest-list": digests, "offset-list": offsets}).encode()
        return self.data("PUT", f"/{kind}_index", None, body, content_type=JSON)

    def archive(self, name: str, pieces: list[bytes]) -> dict[str, object]:
        """A whole dynamic archive; returns its entry in the manifest."""
        wid = self.data("POST", "/dynamic_index", {"archive-name": name})
        digests, offsets, end, entries = [], [], 0, b""
        for piece in pieces:
            digests.append(self.chunk("dynamic", wid, piece))
            offsets.append(end)
            end += len(piece)
            entries += struct.pack("<Q", end) + bytes.fromhex(digests[-1])
        self.append("dynamic", wid, digests, offsets)
        csum = hashlib.sha256(entries).hexdigest()
        self.data("POST", "/dynamic_close", {"wid": wid, "chunk-count": len(pieces), "size": end, "csum": csum})
        return {"crypt-mode": "none", "csum": csum, "filename": name, "size": end}

    def manifest(self, files: list[dict[str, object]], backup_type: str = "host", backup_id: str = "elsa", time: int = FIRST) -> None:
        """Upload the manifest."""
        content = {"backup-id": backup_id, "backup-time": time, "backup-type": backup_type, "files": files}
        text = json.dumps({**content, "signature": None, "unprotected": {}}, sort_keys=True, indent=2).encode()
        self.blob("index.json.blob", sealed(PLAIN, text))

    def drop(self) -> None:
        """Close as real clients do: no GOAWAY, no close_notify."""
        self.sock.close()


class SessionServer:
    """A site that listens. Its clock stands still."""

    def __init__(self, site: Site, clock: ManualClock, https: HttpsServer) -> None:
        self.site, self.clock, self.https = site, clock, https
        self._peers: list[Peer] = []
        self.hurry(STORE)

    def hurry(self, store: str) -> None:
        """Do not wait for the disk: what survives a power cut is the business of other tests."""
        configs = self.site.services.datastores.configs
        configs.update(replace(configs.get(store), tuning="sync-level=none"))

    def upgrade(self, kind: str, query: Mapping[str, object], *, auth_id: str = "root@pam") -> ssl.SSLSocket:
        """The TLS socket of a connection that speaks the protocol from now on. Raises Rejected."""
        headers = [f"{name}: {value}" for name, value in self.site.session(auth_id).headers.items()]
        return self.upgrade_with(f"GET //api2/json/{kind}?{urlencode(query)} HTTP/1.1", [*headers, f"upgrade: {PROTOCOLS[kind]}"])

    def upgrade_with(self, request_line: str, headers: Sequence[str]) -> ssl.SSLSocket:
        """The same with a head as it stands."""
        sock = self.https.dial()
        sock.sendall("\r\n".join([request_line, *headers, "", ""]).encode())
        status, _, body = read_answer(sock)
        if status.split()[1] != "101":
            sock.close()
            raise Rejected(int(status.split()[1]), body)
        return sock

    def open(self, kind: str = BACKUP, query: Mapping[str, object] | None = None, *, number: int = 0, auth_id: str = "root@pam") -> Peer:
        """A session on `host/elsa`; `number`: so many hours after the first backup. query: what is other or more. Raises Rejected."""
        fixed = {"backup-id": "elsa", "backup-time": FIRST + 3600 * number, "backup-type": "host", "store": STORE}
        return self.greet(self.upgrade(kind, {**fixed, **(query or {})}, auth_id=auth_id))

    def greet(self, sock: ssl.SSLSocket) -> Peer:
        """Speak HTTP/2 from now on."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each small write waits for the answer to the one before it
        peer = Peer(sock, window=2**31 - 1, frame_bytes=4 * 1024 * 1024)
        self._peers.append(peer)
        return peer

    def finished(self, number: int = 0, pieces: list[bytes] | None = None) -> list[dict[str, object]]:
        """Write a whole snapshot; returns the entries of its manifest."""
        peer = self.open(number=number)
        files = [peer.archive("root.pxar.didx", pieces or [b"piece %d" % number])]
        peer.manifest(files)
        peer.data("POST", "/finish")
        peer.drop()
        self.settle()
        return files

    def settle(self) -> None:
        """Wait until every session has ended; their clients have left."""
        self.site.services.sessions.drain(WAIT_S)

    def snapshots(self, group: str = "host/elsa", ns: Namespace = ROOT) -> list[SnapshotEntry]:
        return self.site.store.snapshots(ns, GroupName.parse(group))

    def task(self, worker_type: str) -> TaskRow:
        """The newest task of a type. The clock stands still, so the number of the task tells."""
        rows = self.site.services.tasks.rows.page(TaskFilter(type_part=worker_type), lambda row: True, start=0, limit=500)
        return max(rows, key=lambda row: Upid.parse(row.upid).task_id)

    def log(self, row: TaskRow) -> list[str]:
        """The lines of a task's log without their time stamps."""
        lines, _ = self.site.services.tasks.log_lines(row.upid, 0, 0)
        return [text[27:] for _, text in lines]

    def close(self) -> None:
        for peer in self._peers:
            peer.drop()
        self.settle()


@contextmanager
def sparse_chunks() -> Iterator[None]:
    """Datastores that the server opens make their chunk directories when they need them."""
    usual = FilesystemDatastore.chunks_class
    FilesystemDatastore.chunks_class = SparseChunks
    try:
        yield
    finally:
        FilesystemDatastore.chunks_class = usual


@contextmanager
def session_server(where: Path) -> Iterator[SessionServer]:
    """A server for the length of a block; sessions that are open at its end are dropped."""
    clock = ManualClock()
    certificate, key, _ = write_certificate(where)
    with sparse_chunks(), open_site(where, clock) as site, https_server(site.app.application, certificate, key) as https:
        server = SessionServer(site, clock, https)
        try:
            yield server
        finally:
            server.close()


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
