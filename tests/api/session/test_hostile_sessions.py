"""Clients that send too much, the wrong thing, or lies: they are told so, memory stays bounded, and the next request is served."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest
import zstandard

from kit.session_server import FIRST, PLAIN, READER, ZSTD, Peer, SessionServer, sealed
from platevault.api.session import requests
from platevault.services import body_memory

MIB = 1024 * 1024


def path_of(data: bytes, encoded: bytes, **other: object) -> str:
    query = {**Peer.chunk_query(data, encoded, 1), **other}
    return "/dynamic_chunk?" + "&".join(f"{name}={value}" for name, value in query.items())


def still_works(peer: Peer) -> None:
    """A whole backup in what is left of the session."""
    peer.manifest([peer.archive("last.didx", [b"last"])])
    peer.data("POST", "/finish")


def temp_files(server: SessionServer) -> list[str]:
    return [path.name for path in (server.site.where / "store" / ".chunks").rglob("*.tmp_*")]


def test_compressed_bodies_beyond_the_memory_of_a_session_go_to_disk(server: SessionServer) -> None:
    """Twelve chunks of 4 MiB that arrive interleaved: eight fit into memory, the others wait in their temp files."""
    peer = server.open()
    peer.data("POST", "/dynamic_index", {"archive-name": "a.didx"})
    plain = [os.urandom(4 * MIB - 4096) + bytes(4096) for _ in range(12)]
    encoded = [sealed(ZSTD, zstandard.ZstdCompressor(level=1).compress(data)) for data in plain]
    streams = [peer.open("POST", path_of(data, blob)) for data, blob in zip(plain, encoded, strict=True)]
    for stream, blob in zip(streams, encoded, strict=True):
        peer.send(stream, blob[: MIB // 2])
    peer.data("GET", "/previous_backup_time")  # all of that has been dealt with
    in_memory = body_memory.MAX_BYTES // max(len(blob) for blob in encoded)
    assert len(temp_files(server)) == len(plain) - in_memory
    for stream, blob in zip(streams, encoded, strict=True):
        peer.send(stream, blob[MIB // 2 :], end=True)
    assert [peer.answer(stream).status for stream in streams] == [200] * len(plain)
    assert temp_files(server) == []
    for data, blob in zip(plain, encoded, strict=True):
        assert server.site.store.chunks.load(hashlib.sha256(data).digest()) == blob


def test_blobs_beyond_the_memory_of_a_session_are_refused(server: SessionServer) -> None:
    """Twelve blobs of which 3 MiB each have come: ten have room in 32 MiB."""
    peer = server.open()
    encoded = sealed(PLAIN, bytes(4 * MIB - 12))
    streams = [peer.open("POST", f"/blob?file-name=b{number}.blob&encoded-size={4 * MIB}") for number in range(12)]
    for stream in streams:
        peer.send(stream, encoded[: 3 * MIB])
    for stream in streams[10:]:
        assert peer.answer(stream).status == 400  # at once, while it is still being sent
    for stream in streams:
        peer.send(stream, encoded[3 * MIB :], end=True)
    assert [peer.answer(stream).status for stream in streams] == [200] * 10 + [400] * 2
    still_works(peer)


@pytest.mark.parametrize("size", [100, 1000])
def test_more_bytes_than_announced_are_answered_at_once(server: SessionServer, size: int) -> None:
    peer = server.open()
    peer.data("POST", "/dynamic_index", {"archive-name": "a.didx"})
    for target in (path_of(b"x" * 50, sealed(PLAIN, b"x" * 50)), "/blob?file-name=a.blob&encoded-size=62"):
        stream = peer.open("POST", target)
        peer.send(stream, sealed(PLAIN, b"x" * size))
        assert peer.answer(stream).status == 400  # without the end of the body
    assert temp_files(server) == []


def test_a_parameter_body_has_a_limit(server: SessionServer) -> None:
    peer = server.open()
    for body, status in ((b"{" + b" " * (512 * 1024 - 2) + b"}", 400), (b" " * (512 * 1024 + 1), 400)):
        answer = peer.call("POST", "/dynamic_index", None, body, "application/json")
        assert answer.status == status
        assert (b"524288" in answer.body) == (len(body) > 512 * 1024)


def test_log_lines_cannot_be_forged(server: SessionServer) -> None:
    peer = server.open()
    for path in ("/x\nTASK OK", "/x?\r\nTASK OK", "/\x1b[31mred"):
        assert peer.status("GET", path) in (400, 404)
    peer.status("POST", "/dynamic_index", {"archive-name": "x", "a\nTASK OK": "1"})
    peer.drop()
    server.settle()
    log = server.log(server.task("backup"))
    assert [line for line in log if line.startswith("TASK")] == ["TASK ERROR: backup ended but it was not finished"]
    assert all(line.isprintable() for line in log)


def test_a_client_that_only_fails_does_not_fill_the_log(server: SessionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_LINES", 20)
    peer = server.open(query={"debug": "true"})
    for _ in range(50):
        assert peer.status("GET", "/nothing") == 404
    still_works(peer)
    peer.drop()
    server.settle()
    log = server.log(server.task("backup"))
    assert len([line for line in log if "/nothing" in line]) == 20
    assert log.count("too many requests, the rest is not logged") == 1
    assert log[-1] == "TASK OK"


PARAMETERS: list[dict[str, Any]] = [
    {"wid": 0},
    {"wid": 257},
    {"wid": "x"},
    {"digest": "00"},
    {"digest": "A" * 64},
    {"digest": ""},
    {"size": 0},
    {"size": 16 * MIB + 1},
    {"size": "1.0"},
    {"encoded-size": 12},
    {"encoded-size": 16 * MIB + 45},
    {"encoded-size": -1},
    {"extra": 1},
]


@pytest.mark.parametrize("wrong", PARAMETERS, ids=str)
def test_parameters_of_uploads(server: SessionServer, wrong: dict[str, Any]) -> None:
    peer = server.open()
    peer.data("POST", "/dynamic_index", {"archive-name": "a.didx"})
    encoded = sealed(PLAIN, b"data")
    assert peer.status("POST", path_of(b"data", encoded, **wrong), None, encoded) == 400
    assert peer.status("POST", path_of(b"data", encoded), None, encoded) == 200


def test_what_is_no_request_of_the_session(server: SessionServer) -> None:
    peer = server.open()
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("PUT", "/blob", 404),
        ("GET", "/download", 404),
        ("GET", "/./previous_backup_time", 400),
        ("GET", "/..", 400),
        ("GET", "//previous_backup_time", 200),
        ("GET", "/blob/extra", 404),
        ("GET", "/previous?archive-name=../../x.blob", 400),
        ("GET", "/previous?archive-name=%00.blob", 400),
        ("POST", "/dynamic_index?archive-name=%ff.didx", 400),
    ):
        assert peer.status(method, path) == status, path


def test_errors_are_text_of_at_least_eight_bytes(server: SessionServer) -> None:
    """One known client slices them."""
    peer = server.open()
    for path in ("/previous?archive-name=index.json.blob", "/nothing", "/previous"):
        body = peer.call("GET", path).body
        assert len(body) >= 8
        assert not body.startswith(b"{")


def test_a_handler_that_breaks_is_a_400_without_its_secrets(server: SessionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ValueError("a secret path")

    peer = server.open()
    monkeypatch.setattr("platevault.services.backup_session.BackupSession.create_dynamic", broken)
    answer = peer.call("POST", "/dynamic_index", {"archive-name": "a.didx"})
    assert answer.status == 400
    assert b"secret" not in answer.body
    monkeypatch.undo()
    still_works(peer)


def test_garbage_before_the_preface(server: SessionServer) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"):
        query = {"backup-id": "elsa", "backup-time": FIRST, "backup-type": "host", "store": "store"}
        sock = server.upgrade("backup", query)
        sock.sendall(garbage)
        while sock.recv(65536):
            pass
        sock.close()
        server.settle()
        assert server.snapshots() == []


def test_a_reader_that_takes_nothing_does_not_stop_others(server: SessionServer) -> None:
    data = os.urandom(MIB)
    server.finished(0, [data])
    digest = hashlib.sha256(data).hexdigest()
    stuck = server.open(READER)
    stuck.data("GET", "/")
    stuck.request("GET", "/download?file-name=root.pxar.didx")
    for _ in range(20):
        stuck.request("GET", f"/chunk?digest={digest}")
    other = server.open(READER)
    assert other.status("GET", "/download", {"file-name": "root.pxar.didx"}) == 200
    assert other.call("GET", "/chunk", {"digest": digest}).body == sealed(PLAIN, data)


def test_chunks_are_refused_without_their_index_again_and_again(server: SessionServer) -> None:
    """Each refusal waits on its own stream; the session goes on meanwhile."""
    server.finished(0)
    reader = server.open(READER)
    refused = [reader.request("GET", f"/chunk?digest={number:064x}") for number in range(50)]
    assert reader.status("GET", "/download", {"file-name": "root.pxar.didx"}) == 200
    assert not any(reader.answers[stream].ended for stream in refused)
    server.clock.advance(3.0)
    assert reader.status("GET", "/speedtest") == 200
    assert {reader.answer(stream).status for stream in refused} == {401}
