"""A backup server in memory for tests of the client: real TLS, real HTTP/2, the rules of sessions, no REST and no disk.

It refuses what a real server refuses (spec wire-protocol §3.5 - §3.11), so that a client that passes here keeps to the protocol.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import numpy as np

from kit.certificate import write_certificate
from platevault.clock import SystemClock
from platevault.formats import blob, dynamic_index, fixed_index, manifest
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.formats.names import MANIFEST_NAME, SnapshotName
from platevault.wire.http2.message import BINARY_TYPE, JSON_TYPE, Handler, Request, Response, Upload
from platevault.wire.http2.server import ServerConnection
from platevault.wire.link import LinkClosed, TlsLink


class Refusal(Exception):
    """Status and text of an error answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Writer:
    """An index that is being written."""

    name: str
    size: int | None
    entries: list[tuple[int, str]] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.entries[-1][0] if self.entries else 0


class Body:
    """Collects a request body and answers when it is complete."""

    def __init__(self, request: Request, answer: Answerer) -> None:
        self._request, self._answer, self._data = request, answer, bytearray()

    def feed(self, piece: memoryview) -> Response | None:
        self._data += piece
        return None

    def finish(self) -> Response:
        return self._answer.answer(self._request, bytes(self._data))

    def abort(self) -> None:
        pass


class Answerer:
    """Base of both kinds of session: a method name made of method and path answers a request."""

    def answer(self, request: Request, body: bytes) -> Response:
        name = f"{request.method}_{request.path.strip('/')}".lower()
        query = {key: values[0] for key, values in parse_qs(request.query).items()}
        try:
            result = getattr(self, name)(query, body)
        except Refusal as error:
            return Response(error.status, str(error).encode())
        if isinstance(result, bytes):
            return Response(200, result, BINARY_TYPE)
        return Response(200, json.dumps({"data": result}).encode(), JSON_TYPE)


class BackupSession(Answerer):
    """One snapshot being written; it is in the store only after `finish`."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.store, self.name = store, name
        self.files: dict[str, bytes] = {}
        self.writers: dict[int, Writer] = {}
        self.known: dict[str, int] = {}
        self.uploads: list[str] = []
        group = name.rpartition("/")[0]
        self.previous = max((other for other in store.snapshots if other.rpartition("/")[0] == group), default=None)

    def get_previous_backup_time(self, query: dict[str, str], body: bytes) -> int | None:
        return None if self.previous is None else SnapshotName.parse(self.previous).time

    def get_previous(self, query: dict[str, str], body: bytes) -> bytes:
        if self.previous is None:
            raise Refusal("no valid previous backup")
        name = query["archive-name"]
        raw = self.store.snapshots[self.previous].get(name)
        if raw is None:
            raise Refusal("no such file", 404 if name.endswith(".blob") else 400)
        if not name.endswith(".blob"):
            index = decode_index(name, raw)
            for number in range(index.count):
                start, end = index.chunk_span(number)
                self.known[index.digest(number).hex()] = end - start
        return raw

    def _create(self, query: dict[str, str]) -> int:
        number = len(self.writers) + 1
        self.writers[number] = Writer(query["archive-name"], int(query["size"]) if "size" in query else None)
        return number

    def post_fixed_index(self, query: dict[str, str], body: bytes) -> int:
        return self._create(query)

    def post_dynamic_index(self, query: dict[str, str], body: bytes) -> int:
        return self._create(query)

    def _chunk(self, query: dict[str, str], body: bytes) -> str:
        digest, size = query["digest"], int(query["size"])
        if len(body) != int(query["encoded-size"]) or int(query["wid"]) not in self.writers:
            raise Refusal("wrong length or writer")
        if not blob.kind_of(body).is_encrypted:
            data = blob.decode(body)
            if hashlib.sha256(data).hexdigest() != digest or len(data) != size:
                raise Refusal("wrong digest")
        blob.check_crc(body)
        self.store.chunks.setdefault(digest, body)
        self.known[digest] = size
        self.uploads.append(digest)
        return digest

    post_fixed_chunk = post_dynamic_chunk = _chunk

    def _append(self, query: dict[str, str], body: bytes) -> None:
        parameters = json.loads(body)
        writer = self.writers[parameters["wid"]]
        if len(parameters["digest-list"]) > 128:
            raise Refusal("too many entries")
        for digest, offset in zip(parameters["digest-list"], parameters["offset-list"], strict=True):
            if digest not in self.known or offset != writer.end:
                raise Refusal(f"chunk {digest} is not known or not at {offset}")
            writer.entries.append((offset + self.known[digest], digest))

    put_fixed_index = put_dynamic_index = _append

    def _close(self, query: dict[str, str], writer: Writer, raw: bytes) -> None:
        index = decode_index(writer.name, raw)
        if (int(query["chunk-count"]), int(query["size"]), query["csum"]) != (index.count, index.size, index.checksum().hex()):
            raise Refusal("count, size or checksum differ")
        self.files[writer.name] = raw
        del self.writers[int(query["wid"])]

    def post_fixed_close(self, query: dict[str, str], body: bytes) -> None:
        writer = self.writers[int(query["wid"])]
        digests = np.frombuffer(bytes.fromhex("".join(digest for _, digest in writer.entries)), np.uint8).reshape(-1, 32)
        self._close(query, writer, fixed_index.encode(FixedIndex(UUID(int=1), 1, writer.size or 0, CHUNK_BYTES, digests)))

    def post_dynamic_close(self, query: dict[str, str], body: bytes) -> None:
        writer = self.writers[int(query["wid"])]
        digests = np.frombuffer(bytes.fromhex("".join(digest for _, digest in writer.entries)), np.uint8).reshape(-1, 32)
        ends = np.array([end for end, _ in writer.entries], np.uint64)
        self._close(query, writer, dynamic_index.encode(dynamic_index.from_arrays(UUID(int=1), 1, ends, digests)))

    def post_blob(self, query: dict[str, str], body: bytes) -> None:
        if len(body) != int(query["encoded-size"]):
            raise Refusal("wrong length")
        blob.check_crc(body)
        self.files[query["file-name"]] = body

    def post_finish(self, query: dict[str, str], body: bytes) -> None:
        if self.writers:
            raise Refusal("writers are open")
        if str(manifest.decode_blob(self.files[MANIFEST_NAME]).snapshot) != self.name:
            raise Refusal("manifest of another snapshot")
        self.store.snapshots[self.name] = self.files


class ReaderSession(Answerer):
    """Reads one snapshot; chunks only after their index."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.store, self.files = store, store.snapshots[name]
        self.allowed: set[str] = set()
        self.fetched: list[str] = []

    def get_download(self, query: dict[str, str], body: bytes) -> bytes:
        name = query["file-name"]
        if name not in self.files:
            raise Refusal("no such file", 404)
        if not name.endswith(".blob"):
            index = decode_index(name, self.files[name])
            self.allowed.update(index.digest(number).hex() for number in range(index.count))
        return self.files[name]

    def get_chunk(self, query: dict[str, str], body: bytes) -> bytes:
        if query["digest"] not in self.allowed:
            raise Refusal("chunk is not registered", 401)
        self.fetched.append(query["digest"])
        return self.store.chunks[query["digest"]]


@dataclass
class MemoryStore:
    """What survives a session: files by snapshot and name, chunks by digest; and all sessions, for tests to look at."""

    snapshots: dict[str, dict[str, bytes]] = field(default_factory=dict)
    chunks: dict[str, bytes] = field(default_factory=dict)
    backups: list[BackupSession] = field(default_factory=list)
    readers: list[ReaderSession] = field(default_factory=list)


class MemoryServer:
    """Listens on a free port of the loopback while it is entered.

    `refuse` answers upgrades with 400 and that text. `drop_at`: the connection is lost at the so many-th request from now, 0 for never.
    """

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.refuse = ""
        self.drop_at = 0
        certificate, key, self.fingerprint = write_certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as real servers; else every answer waits 40 ms
        self.port = int(self._socket.getsockname()[1])
        self._connections: list[ServerConnection] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> MemoryServer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            connection.stop()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_side=True)
        link = TlsLink(sock, tls, incoming, outgoing)
        if not shake_hands(sock, tls, incoming, outgoing):
            return
        head, one = bytearray(), memoryview(bytearray(1))
        try:
            while not head.endswith(b"\r\n\r\n"):
                link.receive(one)
                head += one
        except LinkClosed:  # only the certificate was looked at
            link.close()
            return
        handler = self._route(head.split(b" ")[1].decode(), link)
        if handler is None:
            text = self.refuse.encode()
            link.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
            link.close()
            return
        link.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        connection = ServerConnection(link, handler, clock=SystemClock())
        self._connections.append(connection)
        connection.run()

    def _route(self, target: str, link: TlsLink) -> Handler | None:
        if self.refuse:
            return None
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        name = str(SnapshotName.make(query["backup-type"], query["backup-id"], int(query["backup-time"])))
        session: Answerer
        if parts.path.endswith("/backup"):
            session = BackupSession(self.store, name)
            self.store.backups.append(session)
        else:
            session = ReaderSession(self.store, name)
            self.store.readers.append(session)

        def handle(request: Request) -> Upload | Response:
            if self.drop_at:
                self.drop_at -= 1
                if not self.drop_at:
                    link.abort()
                    return Response(400, b"nobody reads this")
            return Body(request, session)

        return handle


def shake_hands(sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> bool:
    """Complete the TLS handshake; False when the peer goes away instead, as one does that distrusts the certificate."""
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return False
        else:
            sock.sendall(outgoing.read())
            return True
        sock.sendall(outgoing.read())
        received = sock.recv(65536)
        if not received:
            return False
        incoming.write(received)


def decode_index(name: str, raw: bytes) -> fixed_index.FixedIndex | dynamic_index.DynamicIndex:
    """By extension."""
    return fixed_index.decode(raw) if name.endswith(".fidx") else dynamic_index.decode(raw)
