"""Recorded sessions of real clients, played against our server; see vectors/wire/ORIGIN.md.

The client's side is repeated request by request, in the recorded order. What must be equal: the status of each answer; a JSON body; the
entries and the checksum of an index; the bytes of a chunk; a manifest but for what others wrote into it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import zstandard

from kit.h2_client import Answer
from kit.session_server import Peer, Rejected, SessionServer
from platevault.formats import blob

VECTORS = Path(__file__).parents[1] / "vectors" / "wire"
MANIFEST_MAGICS = (blob.BlobKind.PLAIN.magic, blob.BlobKind.ZSTD.magic)
INDEX_MAGICS = (bytes.fromhex("2f7f41ed91fd0fcd"), bytes.fromhex("1c914ea519bab3cd"))
LEFT_OUT = ("te", "connection")
MASKED_SECRET = re.compile(r"@SECRET-\w+@")

Record = dict[str, Any]
Identities = Mapping[str, Mapping[str, str]]


@cache
def _unpacked(name: str) -> dict[str, bytes]:
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO((VECTORS / name).read_bytes()))
    found = {}
    with tarfile.open(fileobj=plain, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                found[Path(member.name).name] = file.read()
    return found


def names() -> list[str]:
    """The recordings in the order in which they were made."""
    return _unpacked("recordings.tar.zst")["ORDER"].decode().split()


def records(name: str) -> list[Record]:
    return [json.loads(line) for line in _unpacked("recordings.tar.zst")[f"{name}.jsonl"].splitlines()]


def body_of(record: Record) -> bytes:
    """The whole message body that a frame completes."""
    body = record.get("body")
    if not body:
        return b""
    if "sha256" in body and body["len"]:
        return _unpacked("bodies.tar.zst")[body["sha256"]]
    return base64.b64decode(body.get("base64", "")) or str(body.get("text", "")).encode()


@dataclass
class Played:
    """What playing one recording showed. requests: HTTP/2 requests that were answered."""

    sessions: int = 0
    refused: int = 0
    requests: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass
class _Exchange:
    """One HTTP/2 request of the recording."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    status: int | None = None
    answer: bytes = b""

    @property
    def target(self) -> str:
        return dict(self.headers)[":path"]

    @property
    def method(self) -> str:
        return dict(self.headers)[":method"]


def play(server: SessionServer, name: str, auth: Identities) -> Played:
    """Play one recording; auth: headers for each recorded identity (`bob@pbs!pve`, `admin@pbs`)."""
    played = Played()
    exchanges = _exchanges(records(name))
    peers: dict[int, Peer] = {}
    for record in records(name):
        key = record["conn"]
        if "http1" in record and record["dir"] == "c":
            _play_http1(server, name, record, auth, played, peers)
        elif record.get("type") == "HEADERS" and key in peers:
            _play_http2(peers[key], name, exchanges[key, record["stream"]], played, answered=record["dir"] == "s")
    for peer in peers.values():
        peer.drop()
    server.settle()
    return played


def _exchanges(recorded: list[Record]) -> dict[tuple[int, int], _Exchange]:
    found: dict[tuple[int, int], _Exchange] = {}
    for record in recorded:
        if record.get("type") not in ("HEADERS", "DATA"):
            continue
        exchange = found.setdefault((record["conn"], record["stream"]), _Exchange())
        if record["dir"] == "c":
            if record["type"] == "HEADERS":
                exchange.headers = [(key, value) for key, value in record["headers"]]
            exchange.ended |= "END_STREAM" in record["flags"]
            exchange.body = body_of(record) or exchange.body
        else:
            if record["type"] == "HEADERS":
                exchange.status = int(dict(record["headers"])[":status"])
            exchange.answer = body_of(record) or exchange.answer
    return found


def _fields(exchange: _Exchange) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in exchange.headers if not key.startswith(":") and key not in LEFT_OUT)


def _play_http2(peer: Peer, name: str, exchange: _Exchange, played: Played, *, answered: bool) -> None:
    """Requests are repeated when their answers come, since the order of the answers is that in which the server dealt with them."""
    if not answered:
        if exchange.status is None:  # the recorded client left before the answer, or even before the end of its body
            peer.open(exchange.method, exchange.target, _fields(exchange), end=exchange.ended and not exchange.body)
        return
    answer = peer.answer(peer.request(exchange.method, exchange.target, exchange.body, _fields(exchange)))
    played.requests += 1
    wrong = difference(exchange.status, exchange.answer, answer)
    if wrong is not None:
        played.differences.append(f"{name}: {exchange.method} {exchange.target[:100]}: {wrong}")


def _play_http1(server: SessionServer, name: str, record: Record, auth: Identities, played: Played, peers: dict[int, Peer]) -> None:
    """Upgrades, and the upload of a log; logins and lists are the business of other tests."""
    request_line, *lines = record["http1"]
    target, expected = request_line.split()[1], _status_after(name, record)
    if "upload-backup-log" in target:
        assert server.site.send("POST", target, _identity(lines, auth), body_of(record)).status == expected
    elif any(line.lower().startswith("upgrade:") for line in lines):
        try:
            peers[record["conn"]] = server.greet(server.upgrade_with(request_line, _authorised(lines, auth)))
            played.sessions += 1
            status = 101
        except Rejected as error:
            played.refused += 1
            status = error.status
        if status != expected:
            played.differences.append(f"{name}: {target}: {status} instead of {expected}")


def _identity(lines: list[str], auth: Identities) -> Mapping[str, str]:
    """Headers that prove the identity of a recorded request whose own proof is masked."""
    text = unquote("\n".join(lines))
    return next(headers for known, headers in auth.items() if known in text)


def _authorised(lines: list[str], auth: Identities) -> list[str]:
    """The recorded header lines as they were spelled, with a secret or a ticket of ours where one was masked."""
    if not any("@SECRET" in line or "@TICKET" in line for line in lines):
        return lines
    ours = _identity(lines, auth)
    made = []
    for line in lines:
        name = line.partition(":")[0].lower()
        if "@SECRET" in line:
            line = MASKED_SECRET.sub(ours["authorization"].rpartition(":")[2], line)
        elif name in ("cookie", "csrfpreventiontoken"):
            line = f"{name}: {ours[name]}"
        made.append(line)
    return made


def _status_after(name: str, request: Record) -> int:
    """The recorded status of an HTTP/1.1 request."""
    recorded = records(name)
    at = recorded.index(request)
    found = next(record for record in recorded[at:] if record["dir"] == "s" and record["conn"] == request["conn"] and "http1" in record)
    return int(found["http1"][0].split()[1])


def difference(status: int | None, recorded: bytes, answer: Answer) -> str | None:
    """What is wrong with an answer, in one line; None when it is as recorded."""
    if answer.status != status:
        return f"status {answer.status} instead of {status}: {bytes(answer.body[:200])!r}"
    if status != 200:
        return None
    ours, theirs = _comparable(bytes(answer.body)), _comparable(recorded)
    return None if ours == theirs else f"{str(ours)[:300]} instead of {str(theirs)[:300]}"


def _comparable(body: bytes) -> object:
    if body[:8] in INDEX_MAGICS:
        return body[32:64], body[4096:]  # without uuid and time
    if body[:8] in MANIFEST_MAGICS:
        try:
            content = json.loads(blob.decode(body))
        except (ValueError, blob.CorruptBlob):
            return body
        if isinstance(content, dict) and "files" in content:
            content["unprotected"] = {key: value for key, value in content["unprotected"].items() if key == "key-fingerprint"}
            return content
    return json.loads(body) if body.startswith(b'{"data"') else body
