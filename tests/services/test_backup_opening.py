"""What is checked before a backup may begin, and that a refusal leaves everything as it was (spec wire-protocol §2.5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.sessions import Place, manifest, place_for_sessions, request
from platevault.errors import Conflict, Corrupt, Invalid, PlatevaultError, Unavailable
from platevault.formats.manifest import Manifest
from platevault.formats.names import ROOT, Namespace
from platevault.services.backup_opening import BackupTimeTooOld, NoNamespace, NotOwnGroup
from platevault.services.datastores import InMaintenance
from platevault.services.previous_backup import find_previous
from platevault.store.filesystem.lock_files import Locked
from platevault.store.filesystem.snapshots import SnapshotExists


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_for_sessions(tmp_path) as made:
        yield made


def refuse(place: Place, number: int, error: type[PlatevaultError], *, auth_id: str = "root@pam") -> None:
    """The backup is refused, and nothing has changed: directories, locks, holds, counters."""
    before = place.directories(), files(place)
    with pytest.raises(error):
        place.open(request(number, auth_id=auth_id))
    assert (place.directories(), files(place)) == before
    assert place.store.oldest_writer() is None
    assert place.site.services.datastores.active("store").write == 0


def files(place: Place) -> list[str]:
    return sorted(str(path.relative_to(place.path)) for path in place.path.rglob("*") if path.is_file())


def free(place: Place, number: int) -> None:
    """The locks of the group are free."""
    place.open(request(number)).end(None)


def test_a_namespace_is_never_made(place: Place) -> None:
    with pytest.raises(NoNamespace):
        place.open(request(ns=Namespace.parse("a")))
    assert not (place.path / "ns").exists()
    place.store.create_namespace(Namespace.parse("a"))
    place.open(request(ns=Namespace.parse("a"))).end(None)


@pytest.mark.parametrize(("group", "benchmark"), [("host/benchmark", False), ("host/elsa", True), ("vm/benchmark", True)])
def test_benchmarks_have_one_group(place: Place, group: str, benchmark: bool) -> None:
    with pytest.raises(Invalid, match="host/benchmark"):
        place.open(replace(request(group=group), benchmark=benchmark))
    assert place.directories() == []


def test_a_group_takes_one_backup_at_a_time(place: Place) -> None:
    running = place.open(request(0))
    for number in (0, 1):
        with pytest.raises(Locked):
            place.open(request(number))
    running.end(None)
    free(place, 1)


def test_the_owner(place: Place) -> None:
    place.done(0)
    refuse(place, 1, NotOwnGroup, auth_id="else@pbs")
    place.store.set_owner(ROOT, request().group, "root@pam!tok")
    free(place, 1)  # the user of the token that owns it
    refuse(place, 1, NotOwnGroup, auth_id="root@pam!other")
    place.store.set_owner(ROOT, request().group, "root@pam")
    refuse(place, 1, NotOwnGroup, auth_id="root@pam!tok")


@pytest.mark.parametrize("text", ["\n", "", "nobody\n", "../x@pbs\n"])
def test_an_owner_that_is_none(place: Place, text: str) -> None:
    place.done(0)
    (place.path / "host/elsa/owner").write_text(text)
    with pytest.raises((Invalid, Conflict)):
        place.open(request(1))


def test_the_previous_is_the_newest_that_is_finished(place: Place) -> None:
    for number in (0, 2):
        place.done(number)
    (place.path / str(request(5).snapshot)).mkdir()
    assert find_previous(place.store, ROOT, request().group) == request(2).snapshot
    refuse(place, 2, BackupTimeTooOld)
    refuse(place, 1, BackupTimeTooOld)
    session = place.open(request(3))
    assert session.previous.time == request(2).snapshot.time
    session.end(None)


def test_a_previous_that_failed_verification_is_none(place: Place) -> None:
    place.done(0)
    place.done(1)
    mark(place, 1, {"state": "failed", "upid": "x"})
    session = place.open(request(2))
    assert session.previous.time is None  # and not the older one
    session.end(None)
    for state in ({"state": "ok", "upid": "x"}, "whatever", None):
        mark(place, 1, state)
        session = place.open(request(2))
        assert session.previous.time == request(1).snapshot.time
        session.end(None)


def mark(place: Place, number: int, state: object) -> None:
    def change(old: Manifest) -> Manifest:
        return old.with_unprotected(verify_state=state)

    place.store.update_manifest(ROOT, request(number).snapshot, change)


def test_a_previous_whose_manifest_does_not_load(place: Place) -> None:
    place.done(0)
    (place.path / str(request(0).snapshot) / "index.json.blob").write_bytes(b"rubbish, rubbish, rubbish")
    refuse(place, 1, Corrupt)


def test_a_previous_that_is_being_removed(place: Place) -> None:
    place.done(0)
    with place.store.lock_snapshot(ROOT, request(0).snapshot, shared=False):
        refuse(place, 1, Locked)
    with place.store.lock_snapshot(ROOT, request(0).snapshot, shared=True):
        free(place, 1)


def test_a_directory_of_this_time(place: Place) -> None:
    place.done(0)
    left = place.path / str(request(1).snapshot)
    left.mkdir()
    (left / "keep.txt").write_text("x")
    refuse(place, 1, SnapshotExists)
    assert (left / "keep.txt").exists()


@pytest.mark.parametrize("mode", ["read-only", "offline", "type=offline,message=moving"])
def test_maintenance(place: Place, mode: str) -> None:
    configs = place.site.services.datastores.configs
    configs.update(replace(configs.get("store"), maintenance_mode=mode))
    refuse(place, 0, InMaintenance)


def test_a_collection_in_another_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: object) -> None:
        raise Conflict("garbage collection of another process")

    monkeypatch.setattr(type(place.store), "hold_for_writing", busy)
    refuse(place, 0, Conflict)


def test_a_task_that_cannot_be_recorded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise Unavailable("state database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(type(place.site.services.tasks), "begin", fail)
        refuse(place, 0, Unavailable)
    free(place, 0)


@pytest.mark.parametrize("name", ["mkdir", "open", "rename", "fchmod"])
def test_a_disk_that_fails_somewhere(place: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each call of each kind fails once, until one attempt gets through; no attempt leaves a lock, a hold or a snapshot."""
    real: Callable[..., object] = getattr(os, name)
    for fail_at in range(1, 200):
        seen = 0

        def failing(*args: object, fail_at: int = fail_at, **options: object) -> object:
            nonlocal seen
            seen += 1
            if seen == fail_at:
                raise OSError(5, "Input/output error")
            return real(*args, **options)

        with monkeypatch.context() as broken:
            broken.setattr(os, name, failing)
            try:
                session = place.open(request(0))
            except PlatevaultError:
                session = None
        if session is not None:
            session.end(None)
            if seen < fail_at:
                assert seen > 0
                break
        assert place.times() == []
        assert place.store.oldest_writer() is None
        assert [path for path in place.directories() if path.count("/") > 1] == []
    else:
        pytest.fail("no attempt got through")
    free(place, 0)


def test_an_unfinished_snapshot_of_a_process_that_died(place: Place) -> None:
    """Its locks died with it. The next backup takes the older one as previous, and prune removes what was left."""
    place.done(0)
    left = place.path / str(request(1).snapshot)
    left.mkdir()
    (left / "root.pxar.tmp_didx").write_bytes(bytes(4096))
    session = place.open(request(2))
    assert session.previous.time == request(0).snapshot.time
    manifest(session)
    session.finish()
    session.end(None)
    assert place.times() == [0, 2]
    assert left.exists()
