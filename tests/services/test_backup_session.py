"""Backup sessions from their first request to their end (spec wire-protocol §3)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.sessions import FIRST, Place, archive, manifest, place_for_sessions, request, upload
from platevault.config.datastores import DatastoreConfig
from platevault.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from platevault.formats import blob
from platevault.formats.names import ROOT, InvalidName
from platevault.services.backup_session import NoSuchWriter, NotActive, UnknownChunk
from platevault.services.backup_writers import DynamicArchive, FixedArchive, WriterRefused
from platevault.services.previous_backup import NoPrevious


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_for_sessions(tmp_path) as made:
        yield made


def stored_manifest(place: Place, number: int = 0) -> dict[str, object]:
    content: dict[str, object] = json.loads(blob.decode(place.store.read_file(ROOT, request(number).snapshot, "index.json.blob")))
    return content


# --- what is visible when ---


def test_a_snapshot_is_unfinished_until_finish(place: Place) -> None:
    """A crash at any moment before must not leave what looks whole, even though the client has sent its manifest."""
    session = place.open()
    archive(session, "root.pxar.didx", [b"a", b"b"])
    manifest(session)
    names = sorted(path.name for path in (place.path / "host/elsa/2024-06-10T06:13:20Z").iterdir())
    assert names == ["root.pxar.didx"]
    assert place.times() == []
    session.finish()
    assert place.times() == [0]
    session.end(None)
    assert place.task().status == "OK"


def test_the_manifest_is_completed_at_finish(place: Place) -> None:
    session = place.open()
    archive(session, "root.pxar.didx", [b"x" * 1000, b"y" * 10])
    manifest(session, notes="kept", deep=[1, {"none": None}])
    session.finish()
    stored = stored_manifest(place)["unprotected"]
    assert isinstance(stored, dict)
    statistics = stored.pop("chunk_upload_stats")
    assert stored == {"notes": "kept", "deep": [1, {"none": None}]}
    assert statistics["count"] == 2
    assert statistics["duplicates"] == 0
    session.end(None)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"backup-type":"host"}'])
def test_a_manifest_that_is_none(place: Place, raw: bytes) -> None:
    session = place.open()
    session.write_blob("index.json.blob", blob.encode(raw))
    with pytest.raises(Corrupt):
        session.finish()
    with pytest.raises(NotActive, match="failed while finishing"):
        session.finish()
    session.end(None)
    assert place.directories() == []


def test_finish_needs_a_manifest_and_no_open_writer(place: Place) -> None:
    session = place.open()
    with pytest.raises(Invalid, match="valid files"):
        session.finish()
    wid = session.create_dynamic("a.didx")
    manifest(session)
    with pytest.raises(Conflict, match=r"open index writer for 'a\.didx'"):
        session.finish()
    digest = upload(session, wid, b"abc")
    session.append(DynamicArchive, wid, [(digest, 0)])
    with pytest.raises(WriterRefused):
        session.close_index(DynamicArchive, wid, count=1, size=3, csum=bytes(32))
    with pytest.raises(Conflict, match="open index writer"):
        session.finish()
    session.end(None)


def test_nothing_can_be_done_after_finish_but_blobs(place: Place) -> None:
    place.done(0)
    session = place.open(request(1))
    archive(session, "a.didx", [b"abc"])
    manifest(session)
    session.finish()
    for refused in (
        lambda: session.create_dynamic("b.didx"),
        lambda: session.create_fixed("b.fidx", 10, None),
        lambda: upload(session, 1, b"late"),
        lambda: session.close_index(DynamicArchive, 1, count=1, size=3, csum=bytes(32)),
        session.finish,
        lambda: session.open_previous("root.pxar.didx"),
    ):
        with pytest.raises(NotActive):
            refused()
    session.open_previous("index.json.blob").close()
    session.write_blob("late.log.blob", blob.encode(b"late"))
    session.end("connection error: reset")
    assert place.times() == [0, 1]
    assert place.task().status == "OK"
    assert place.store.read_file(ROOT, request(1).snapshot, "late.log.blob") == blob.encode(b"late")


# --- chunks and indexes ---


def test_a_chunk_must_be_known_in_the_session(place: Place) -> None:
    place.done(0, [b"old"])
    session = place.open(request(1))
    digest = upload(session, session.create_dynamic("x.didx"), b"new")
    wid = session.create_dynamic("root.pxar.didx")
    session.append(DynamicArchive, wid, [(digest, 0)])
    old = place.store.open_index(ROOT, request(0).snapshot, "root.pxar.didx").digest(0)
    with pytest.raises(UnknownChunk):
        session.append(DynamicArchive, wid, [(old, 3)])
    session.open_previous("root.pxar.didx").close()
    session.append(DynamicArchive, wid, [(old, 3)])
    session.end(None)


def test_a_refused_writer_leaves_the_chunk_but_does_not_register_it(place: Place) -> None:
    session = place.open()
    wid = session.create_dynamic("a.didx")
    for number in (wid + 1, 256):
        with pytest.raises(NoSuchWriter):
            upload(session, number, b"data")
    assert [entry.bad for entry in place.store.chunks.entries()] == [None]
    (entry,) = place.store.chunks.entries()
    with pytest.raises(UnknownChunk):
        session.append(DynamicArchive, wid, [(entry.digest, 0)])
    fixed = session.create_fixed("b.fidx", 100, None)
    with pytest.raises(NoSuchWriter):
        session.append(DynamicArchive, fixed, [(upload(session, wid, b"data"), 0)])
    session.end(None)


def test_entries_before_the_wrong_one_stay(place: Place) -> None:
    session = place.open()
    wid = session.create_dynamic("a.didx")
    first, second = upload(session, wid, b"one"), upload(session, wid, b"second")
    with pytest.raises(UnknownChunk):
        session.append(DynamicArchive, wid, [(first, 0), (bytes(32), 3), (second, 3)])
    session.append(DynamicArchive, wid, [(second, 3)])
    session.end(None)


def test_writers_are_numbered_in_order_and_names_checked(place: Place) -> None:
    session = place.open()
    assert [session.create_dynamic("a.didx"), session.create_fixed("a.fidx", 1, None), session.create_dynamic("b.didx")] == [1, 2, 3]
    for name in ("a.fidx", "a.blob", "a", "../a.didx", ".didx", ""):
        with pytest.raises(InvalidName):
            session.create_dynamic(name)
    with pytest.raises(InvalidName):
        session.create_fixed("a.didx", 1, None)
    with pytest.raises(InvalidName):
        session.write_blob("a.conf", blob.encode(b""))
    session.end(None)


def test_two_writers_of_one_name(place: Place) -> None:
    """Only one of them can be closed, and then finish is impossible."""
    session = place.open()
    wids = [session.create_dynamic("a.didx"), session.create_dynamic("a.didx")]
    digest = upload(session, wids[0], b"abc")
    for wid in wids:
        session.append(DynamicArchive, wid, [(digest, 0)])
    with pytest.raises(Conflict, match="another writer"):
        session.close_index(DynamicArchive, wids[1], count=1, size=3, csum=bytes(32))
    manifest(session)
    with pytest.raises(Conflict):
        session.finish()
    session.end(None)


def test_a_blob_is_checked_for_its_crc_only(place: Place) -> None:
    session = place.open()
    good = blob.encode(b"text")
    session.write_blob("a.conf.blob", good)
    with pytest.raises(Corrupt):
        session.write_blob("a.conf.blob", good[:-1] + b"?")
    assert place.store.read_file(ROOT, request().snapshot, "a.conf.blob") == good
    session.end(None)


# --- the previous snapshot ---


def test_the_first_backup_has_no_previous(place: Place) -> None:
    session = place.open()
    assert session.previous.time is None
    for name in ("index.json.blob", "root.pxar.didx"):
        with pytest.raises(NoPrevious):
            session.open_previous(name)
    with pytest.raises(NoPrevious):
        session.create_fixed("d.fidx", 10, "00" * 32)
    session.end(None)


def test_files_of_the_previous(place: Place) -> None:
    place.done(0)
    session = place.open(request(1))
    assert session.previous.time == FIRST
    with session.open_previous("root.pxar.didx") as file:
        assert file.read() == place.store.read_file(ROOT, request(0).snapshot, "root.pxar.didx")
    with pytest.raises(NoPrevious):
        session.open_previous("other.didx")
    with pytest.raises(NotFound):
        session.open_previous("other.blob")
    with pytest.raises(InvalidName):
        session.open_previous("owner")
    session.end(None)


def test_a_broken_index_of_the_previous(place: Place) -> None:
    place.done(0)
    file = place.path / str(request(0).snapshot) / "root.pxar.didx"
    file.write_bytes(bytes(8) + file.read_bytes()[8:])
    session = place.open(request(1))
    with pytest.raises(Corrupt):
        session.open_previous("root.pxar.didx")
    session.end(None)


def test_a_previous_that_vanishes_keeps_the_backup_from_finishing(place: Place) -> None:
    """Its chunks are not protected any more."""
    place.done(0)
    session = place.open(request(1))
    manifest(session)
    shutil.rmtree(place.path / str(request(0).snapshot))
    with pytest.raises(Conflict, match="was removed"):
        session.finish()
    session.end(None)


def test_reuse_of_an_index(place: Place) -> None:
    first = place.open()
    wid = first.create_fixed("d.fidx", 3, None)
    digest = upload(first, wid, b"abc", FixedArchive)
    first.append(FixedArchive, wid, [(digest, 0)])
    csum = hashlib.sha256(digest).digest()
    first.close_index(FixedArchive, wid, count=1, size=3, csum=csum)
    manifest(first)
    first.finish()
    first.end(None)
    second = place.open(request(1))
    for name, size, text in (
        ("d.fidx", None, csum.hex()),
        ("d.fidx", 3, csum.hex().upper()),
        ("d.fidx", 3, ""),
        ("d.fidx", 5_000_000, csum.hex()),
        ("e.fidx", 3, csum.hex()),
    ):
        with pytest.raises(Invalid):
            second.create_fixed(name, size, text)
    wid = second.create_fixed("d.fidx", 4, csum.hex())
    with pytest.raises(UnknownChunk):  # reuse alone makes no chunk known
        second.append(FixedArchive, wid, [(digest, 0)])
    second.close_index(FixedArchive, wid, count=0, size=0, csum=csum)
    second.end(None)


# --- the end ---


def test_the_end_of_an_unfinished_session(place: Place) -> None:
    session = place.open()
    wid = session.create_dynamic("a.didx")
    upload(session, wid, b"abc")
    session.write_blob("a.conf.blob", blob.encode(b"x"))
    session.end(None)
    assert place.directories() == []
    assert place.task().status == "backup ended but it was not finished"
    assert "removing failed backup" in place.log()
    assert [entry.bad for entry in place.store.chunks.entries()] == [None]
    assert place.site.services.datastores.active("store").write == 0
    place.done(0)


def test_an_older_snapshot_and_its_group_stay(place: Place) -> None:
    place.done(0)
    place.open(request(1)).end("connection error: gone")
    assert place.times() == [0]
    assert place.directories() == ["host/elsa", "host/elsa/2024-06-10T06:13:20Z"]
    assert place.task().status == "connection error: gone"


def test_a_session_that_was_stopped(place: Place) -> None:
    stopped: list[bool] = []
    session = place.open(on_abort=lambda: stopped.append(True))
    place.site.services.tasks.abort(str(session.task.upid))
    assert stopped == [True]
    session.end("abort requested - aborting task")
    assert place.task().status == "abort requested - aborting task"
    assert place.directories() == []


def test_what_cannot_be_cleaned_up_does_not_keep_the_rest_from_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    session = place.open()
    session.create_dynamic("a.didx")

    def fail(*args: object, **options: object) -> None:
        raise Unavailable("disk on fire")

    with monkeypatch.context() as broken:
        broken.setattr(type(place.store), "remove_snapshot", fail)
        session.end(None)
    assert "cleaning up failed: disk on fire" in place.log()
    assert place.task().status == "backup ended but it was not finished"
    assert place.site.services.datastores.active("store").write == 0
    place.open(request(1)).end(None)  # locks are free, the leftover is taken for what it is


def test_a_benchmark_leaves_nothing_and_is_good(place: Place) -> None:
    session = place.open(replace(request(group="host/benchmark"), benchmark=True))
    session.end("connection error: reset")
    assert place.directories() == []
    assert place.task("benchmark").status == "OK"


def test_locks_until_finish(place: Place) -> None:
    place.done(0)
    first = place.open(request(1))
    with pytest.raises(Conflict):
        place.open(request(2))
    with pytest.raises(Conflict):
        place.store.remove_snapshot(ROOT, request(0).snapshot)
    manifest(first)
    assert place.store.oldest_writer() is not None
    first.finish()
    assert place.store.oldest_writer() is None
    second = place.open(request(2))
    manifest(second)
    second.finish()
    assert place.site.services.datastores.active("store").write == 2
    for session in (first, second):
        session.end(None)
    assert place.times() == [0, 1, 2]
    assert place.site.services.datastores.active("store").write == 0


def test_verification_after_a_backup(place: Place) -> None:
    configs = place.site.services.datastores.configs
    old = configs.get("store")
    configs.update(DatastoreConfig("store", old.path, tuning=old.tuning, verify_new=True))
    place.done(0)
    assert place.site.ended(place.task("verify").upid) == "OK"
    assert place.task("verify").worker_id == "store:host/elsa/66669980"
    unprotected = stored_manifest(place)["unprotected"]
    assert isinstance(unprotected, dict)
    assert unprotected["verify_state"]["state"] == "ok"


def test_the_log_of_a_backup(place: Place) -> None:
    place.done(0, [b"x" * 100, b"y" * 300])
    place.open(request(1)).end(None)
    session = place.open(request(1))
    session.open_previous("root.pxar.didx").close()
    archive(session, "root.pxar.didx", [b"x" * 100])
    manifest(session)
    session.finish()
    session.end(None)
    log = place.log()
    for line in (
        "starting new backup on datastore 'store' from 192.0.2.1: \"host/elsa/2024-06-10T07:13:20Z\"",
        "register chunks in 'root.pxar.didx' from previous backup 'host/elsa/2024-06-10T06:13:20Z'.",
        "download 'root.pxar.didx' from previous backup 'host/elsa/2024-06-10T06:13:20Z'.",
        'created new dynamic index 1 ("host/elsa/2024-06-10T07:13:20Z/root.pxar.didx")',
        "Upload statistics for 'root.pxar.didx'",
        "Size: 100",
        "Chunk count: 1",
        "Upload size: 100 (100%)",
        "Duplicates: 0+1 (100%)",
        "successfully closed dynamic index 1",
        "successfully finished backup",
        "backup finished successfully",
        "TASK OK",
    ):
        assert line in log
