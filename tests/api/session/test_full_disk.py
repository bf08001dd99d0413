"""A datastore that is full: uploads are refused one by one, the session lives on, and what was there stays good."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.session_server import PLAIN, READER, Peer, SessionServer, sealed
from platevault.formats.names import ROOT, GroupName

STORE = {"store": "small"}
PIECE = 150_000


@pytest.fixture
def small(server: SessionServer) -> Iterator[SessionServer]:
    """The server with a datastore `small` on a disk of 1 MiB."""
    where = server.site.where / "small"
    where.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    (where / ".chunks").mkdir(0o750)
    (where / ".lock").touch(0o644)
    server.site.add_store("small").close()
    yield server
    server.close()
    subprocess.run(["umount", "-l", where], check=True)


def fill(peer: Peer, wid: int) -> int:
    """Upload chunks until one is refused; how many there was room for."""
    for number in range(20):
        data = os.urandom(PIECE)
        encoded = sealed(PLAIN, data)
        answer = peer.call("POST", "/dynamic_chunk", peer.chunk_query(data, encoded, wid), encoded)
        if answer.status != 200:
            assert answer.status == 400
            assert b"No space left" in answer.body
            return number
    pytest.fail("the disk is not as small as it should be")


def write_endlessly(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_disk_that_fills_up(small: SessionServer) -> None:
    first = small.open(query=STORE)
    first.manifest([first.archive("root.pxar.didx", [b"good"])])
    first.data("POST", "/finish")
    first.drop()
    small.settle()
    second = small.open(query=STORE, number=1)
    wid = second.data("POST", "/dynamic_index", {"archive-name": "root.pxar.didx"})
    assert fill(second, wid) > 0
    assert fill(second, wid) == 0  # refused again, and still answered
    assert list((small.site.where / "small").rglob(".chunks/*/*.tmp_*")) == []
    assert second.data("GET", "/previous_backup_time") is not None
    second.drop()
    small.settle()
    store = small.site.services.datastores.get("small", "read")
    assert [entry.finished for entry in store.snapshots(ROOT, GroupName.parse("host/elsa"))] == [True]
    reader = small.open(READER, STORE)
    assert reader.status("GET", "/download", {"file-name": "root.pxar.didx"}) == 200
    reader.drop()


def test_a_disk_that_is_full_at_finish(small: SessionServer) -> None:
    """The snapshot is not there then, and neither is half of it."""
    peer = small.open(query=STORE)
    wid = peer.data("POST", "/dynamic_index", {"archive-name": "root.pxar.didx"})
    peer.blob("a.conf.blob", sealed(PLAIN, b"settings"))
    peer.manifest([{"crypt-mode": "none", "csum": "00" * 32, "filename": f"{number}.blob", "size": number} for number in range(1000)])
    digest = peer.chunk("dynamic", wid, b"last")
    peer.append("dynamic", wid, [digest], [0])
    csum = hashlib.sha256((4).to_bytes(8, "little") + bytes.fromhex(digest)).hexdigest()
    peer.data("POST", "/dynamic_close", {"wid": wid, "chunk-count": 1, "size": 4, "csum": csum})
    filler = small.site.where / "small" / "filler"
    with pytest.raises(OSError, match="No space left"):
        write_endlessly(filler)
    answer = peer.call("POST", "/finish")
    assert answer.status == 400
    assert b"No space left" in answer.body
    filler.unlink()
    assert peer.status("POST", "/finish") == 400  # it has failed for good
    peer.drop()
    small.settle()
    assert list((small.site.where / "small" / "host").glob("*")) == []
    assert small.task("backup").status == "backup ended but it was not finished"
