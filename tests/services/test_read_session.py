"""Reader sessions: who may open one, and what it gives out (spec wire-protocol §2.6, §4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.sessions import Place, place_for_sessions, request
from platevault.errors import Corrupt, Invalid, NotFound, Unavailable
from platevault.formats import blob
from platevault.formats.names import ROOT, InvalidName, Namespace
from platevault.services.read_session import ChunkNotAllowed, NoIndex
from platevault.services.session_request import SessionRequest
from platevault.store.filesystem.lock_files import Locked


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_for_sessions(tmp_path) as made:
        made.done(0, [b"first", b"second"])
        yield made


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_chunks_of_downloaded_indexes_only(place: Place) -> None:
    place.done(1, [b"third"])
    reader = place.read()
    with pytest.raises(ChunkNotAllowed):
        reader.open_chunk(digest(b"first"))
    reader.open_file("root.pxar.didx").close()
    with reader.open_chunk(digest(b"first")) as file:
        assert blob.decode(file.read()) == b"first"
    with pytest.raises(ChunkNotAllowed):
        reader.open_chunk(digest(b"third"))
    reader.end(None)
    assert place.task("reader").status == "OK"
    assert place.log("reader")[-2:] == ["reader finished successfully", "TASK OK"]


def test_files_as_they_are_stored(place: Place) -> None:
    reader = place.read()
    for name in ("root.pxar.didx", "index.json.blob"):
        with reader.open_file(name) as file:
            assert file.read() == place.store.read_file(ROOT, request().snapshot, name)
    with pytest.raises(NotFound):
        reader.open_file("other.blob")
    with pytest.raises(NoIndex):
        reader.open_file("other.didx")
    for name in ("owner", "../owner.blob", "a.tmp_didx", ""):
        with pytest.raises(InvalidName):
            reader.open_file(name)
    reader.end(None)


def test_a_broken_index_allows_nothing(place: Place) -> None:
    file = place.path / str(request().snapshot) / "root.pxar.didx"
    file.write_bytes(file.read_bytes()[:-1])
    reader = place.read()
    with pytest.raises(Corrupt):
        reader.open_file("root.pxar.didx")
    with pytest.raises(ChunkNotAllowed):
        reader.open_chunk(digest(b"first"))
    reader.end(None)


def test_a_chunk_that_is_missing(place: Place) -> None:
    reader = place.read()
    reader.open_file("root.pxar.didx").close()
    (place.path / ".chunks" / digest(b"first").hex()[:4] / digest(b"first").hex()).unlink()
    with pytest.raises(NotFound):
        reader.open_chunk(digest(b"first"))
    reader.end(None)


def test_the_snapshot_is_held_until_the_end(place: Place) -> None:
    first, second = place.read(), place.read()
    assert place.site.services.datastores.active("store").read == 2
    first.end("connection error: reset")
    with pytest.raises(Locked):
        place.store.remove_snapshot(ROOT, request().snapshot)
    second.end(None)
    assert place.site.services.datastores.active("store").read == 0
    place.store.remove_snapshot(ROOT, request().snapshot)


def test_a_running_backup_cannot_be_read(place: Place) -> None:
    running = place.open(request(1))
    with pytest.raises(Locked):
        place.read(request(1))
    place.read(request(0)).end(None)
    running.end(None)


@pytest.mark.parametrize("wanted", [request(5), request(group="vm/1"), request(ns=Namespace.parse("none"))])
def test_what_is_not_there(place: Place, wanted: SessionRequest) -> None:
    before = sorted(place.site.where.rglob("*"))
    with pytest.raises(NotFound):
        place.read(wanted)
    assert sorted(place.site.where.rglob("*")) == before  # no lock files for names that somebody makes up
    assert place.site.services.datastores.active("store").read == 0


def test_a_group_of_somebody_else(place: Place) -> None:
    with pytest.raises(Invalid, match="owner check failed"):
        place.read(request(auth_id="else@pbs"), owned_only=True)
    place.read(request(auth_id="else@pbs")).end(None)
    place.read(owned_only=True).end(None)
    with pytest.raises(NotFound):
        place.read(request(group="vm/1"), owned_only=True)
    assert place.site.services.datastores.active("store").read == 0


def test_a_snapshot_without_manifest_can_be_read(place: Place) -> None:
    (place.path / str(request().snapshot) / "index.json.blob").unlink()
    reader = place.read()
    reader.open_file("root.pxar.didx").close()
    reader.end(None)


@pytest.mark.parametrize(("mode", "is_readable"), [("read-only", True), ("offline", False)])
def test_maintenance(place: Place, mode: str, is_readable: bool) -> None:
    configs = place.site.services.datastores.configs
    configs.update(replace(configs.get("store"), maintenance_mode=mode))
    if is_readable:
        place.read().end(None)
    else:
        with pytest.raises(Unavailable):
            place.read()


def test_a_task_that_cannot_be_recorded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise Unavailable("state database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(type(place.site.services.tasks), "begin", fail)
        with pytest.raises(Unavailable):
            place.read()
    assert place.site.services.datastores.active("store").read == 0
    place.store.remove_snapshot(ROOT, request().snapshot)
