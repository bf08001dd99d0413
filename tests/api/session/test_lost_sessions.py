"""Sessions that end at every stage, in every way: what remains is a finished snapshot or nothing (spec wire-protocol §3.12)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest

from kit.session_server import FIRST, JSON, PLAIN, READER, Peer, SessionServer, reset, sealed

Stage = Callable[[Peer], None]
DATA = b"some content" * 5000


def nothing(peer: Peer) -> None:
    """Right after the upgrade."""


def blob_uploaded(peer: Peer) -> None:
    peer.blob("a.conf.blob", sealed(PLAIN, b"x"))


def writers_open(peer: Peer) -> None:
    peer.data("POST", "/dynamic_index", {"archive-name": "a.didx"})
    peer.data("POST", "/fixed_index", {"archive-name": "a.fidx", "size": 100})


def chunk_appended(peer: Peer) -> None:
    writers_open(peer)
    peer.append("dynamic", 1, [peer.chunk("dynamic", 1, DATA)], [0])


def index_closed(peer: Peer) -> None:
    peer.archive("a.didx", [DATA])


def manifest_uploaded(peer: Peer) -> None:
    peer.manifest([peer.archive("a.didx", [DATA])])


def finish_refused(peer: Peer) -> None:
    assert peer.status("POST", "/finish") == 400


def upload_half_sent(peer: Peer) -> None:
    writers_open(peer)
    encoded = sealed(PLAIN, DATA)
    query = "&".join(f"{name}={value}" for name, value in peer.chunk_query(DATA, encoded, 1).items())
    stream = peer.open("POST", f"/dynamic_chunk?{query}")
    peer.send(stream, encoded[:1000])
    peer.data("GET", "/previous_backup_time")  # the half has been received now


def blob_half_sent(peer: Peer) -> None:
    stream = peer.open("POST", "/blob?file-name=a.blob&encoded-size=5000")
    peer.send(stream, bytes(100))
    peer.data("GET", "/previous_backup_time")


STAGES = [
    nothing,
    blob_uploaded,
    writers_open,
    chunk_appended,
    index_closed,
    manifest_uploaded,
    finish_refused,
    upload_half_sent,
    blob_half_sent,
]


def dropped(peer: Peer) -> None:
    peer.drop()


def was_reset(peer: Peer) -> None:
    reset(peer.sock)


def polite(peer: Peer) -> None:
    """GOAWAY, then close_notify, then FIN."""
    peer.connection.close_connection()
    peer.flush()
    with suppress(OSError):  # the server may have gone at the GOAWAY
        peer.sock.unwrap()
    peer.drop()


def garbage(peer: Peer) -> None:
    peer.sock.sendall(b"\xff" * 100)
    peer.receive_until_end()
    peer.drop()


def half_a_frame(peer: Peer) -> None:
    peer.sock.sendall(struct.pack(">HBBBL", 1, 0, 0, 0, 1) + b"x")
    peer.drop()


WAYS: list[Stage] = [dropped, was_reset, polite, garbage, half_a_frame]


def assert_nothing_remains(server: SessionServer) -> None:
    """No snapshot, no group, no temp file, no lock, a failed task; and the same backup can be made at once."""
    server.settle()
    assert server.snapshots() == []
    path = server.site.where / "store"
    assert list((path / "host").glob("*")) == []
    assert list(path.rglob("*.tmp_*")) == []
    status = server.task("backup").status
    assert status is not None
    assert status != "OK"
    server.finished(0)
    assert [entry.name.time for entry in server.snapshots()] == [FIRST]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_before_finish(server: SessionServer, stage: Stage, way: Stage) -> None:
    peer = server.open()
    stage(peer)
    way(peer)
    assert_nothing_remains(server)


@pytest.mark.parametrize("stage", [nothing, chunk_appended, manifest_uploaded, upload_half_sent], ids=lambda stage: stage.__name__)
def test_stopped_by_its_task(server: SessionServer, stage: Stage) -> None:
    peer = server.open()
    stage(peer)
    upid = server.task("backup").upid
    server.site.root.delete(f"/nodes/localhost/tasks/{upid.replace(':', '%3A')}")
    peer.receive_until_end()
    server.settle()
    assert server.task("backup").status == "abort requested - aborting task"
    peer.drop()
    assert_nothing_remains(server)


def test_stopped_with_the_server(server: SessionServer) -> None:
    peer = server.open()
    chunk_appended(peer)
    server.clock.advance(1.0)
    server.site.services.sessions.drain(0.0)
    peer.receive_until_end()
    assert server.task("backup").status == "the server is being stopped - aborting"
    assert_nothing_remains(server)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_after_finish(server: SessionServer, way: Stage) -> None:
    peer = server.open()
    manifest_uploaded(peer)
    peer.data("POST", "/finish")
    way(peer)
    server.settle()
    assert [entry.finished for entry in server.snapshots()] == [True]
    assert server.task("backup").status == "OK"


def test_before_the_preface(server: SessionServer) -> None:
    query = {"backup-id": "elsa", "backup-time": FIRST, "backup-type": "host", "store": "store"}
    server.upgrade("backup", query).close()
    assert_nothing_remains(server)


def test_one_client_alive_beside_a_lost_one(server: SessionServer) -> None:
    lost = server.open()
    alive = server.open(query={"backup-id": "otto"})
    chunk_appended(alive)
    reset(lost.sock)
    assert alive.status("PUT", "/dynamic_index", None, b'{"wid":1,"digest-list":[],"offset-list":[]}', content_type=JSON) == 200
    alive.drop()
    server.settle()
    assert server.snapshots("host/otto") == []


def test_a_reader_that_is_lost_frees_its_snapshot(server: SessionServer) -> None:
    server.finished(0)
    for way in WAYS:
        reader = server.open(READER)
        reader.data("GET", "/")
        way(reader)
        server.settle()
        assert server.task("reader").status is not None
    answer = server.site.root.delete("/admin/datastore/store/snapshots", {"backup-type": "host", "backup-id": "elsa", "backup-time": FIRST})
    assert answer.status == 200


def test_a_stopped_reader(server: SessionServer) -> None:
    server.finished(0)
    reader = server.open(READER)
    reader.data("GET", "/")
    server.site.services.tasks.abort(server.task("reader").upid)
    reader.receive_until_end()
    server.settle()
    assert server.task("reader").status == "abort requested - aborting task"
