"""Every change of the disk fails once during a backup, or is the last thing that the server did.

Must hold each time: the snapshot is there, whole and readable, or it is not listed as finished; the locks are free; the next backup works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.faults import Died, Faults
from kit.sessions import FIRST, Place, archive, manifest, place_for_sessions, request, upload
from platevault.errors import PlatevaultError
from platevault.formats import blob
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.names import ROOT
from platevault.services.backup_session import BackupSession
from platevault.services.backup_writers import FixedArchive

MOST_STEPS = 300


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_for_sessions(tmp_path, tuning="sync-level=file") as made:
        made.done(0, [b"shared"])
        yield made


def work(session: BackupSession, number: int) -> None:
    """A bit of everything that a backup does."""
    session.open_previous("root.pxar.didx").close()
    archive(session, "root.pxar.didx", [b"shared", b"new in %d" % number])
    wid = session.create_fixed("disk.img.fidx", 9, None)
    digest = upload(session, wid, b"block %03d" % number, FixedArchive)
    session.append(FixedArchive, wid, [(digest, 0)])
    session.close_index(FixedArchive, wid, count=1, size=9, csum=hashlib.sha256(digest).digest())
    session.write_blob("a.conf.blob", blob.encode(b"settings"))
    manifest(session)
    session.finish()


def assert_whole(place: Place, number: int) -> None:
    """All that a finished snapshot names is there and right."""
    place.store.read_manifest(ROOT, request(number).snapshot)
    if number:
        assert blob.decode(place.store.read_file(ROOT, request(number).snapshot, "a.conf.blob")) == b"settings"
    for name in ("root.pxar.didx", "disk.img.fidx")[: 1 + bool(number)]:
        index = place.store.open_index(ROOT, request(number).snapshot, name)
        for at in range(index.count):
            assert hashlib.sha256(blob.decode(place.store.chunks.load(index.digest(at)))).digest() == index.digest(at)
    assert number == 0 or isinstance(index, FixedIndex)


def assert_sound(place: Place, number: int) -> None:
    for time in place.times():
        assert_whole(place, time)
    assert place.store.oldest_writer() is None
    place.open(request(number)).end(None)


def test_each_change_fails_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(monkeypatch)
    for step in range(1, MOST_STEPS):
        done = False
        faults.arm(step, dies=False)
        try:
            session = place.open(request(step))
        except PlatevaultError:
            session = None
        if session is not None:
            try:
                work(session, step)
                done = True
            except PlatevaultError:
                pass
            session.end(None)
        spent = faults.spent
        faults.arm(0, dies=False)
        assert (step in place.times()) == done
        assert_sound(place, step + 1)
        if not spent:
            break
    assert step > 40
    assert done


def test_the_server_dies_at_each_change(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(monkeypatch)
    for step in range(1, MOST_STEPS):
        done = False
        faults.arm(step, dies=True)
        session = None
        try:
            session = place.open(request(step))
            work(session, step)
            done = True
        except Died:
            pass
        spent = faults.spent
        faults.arm(0, dies=False)
        if session is not None:  # locks end with the process, and nothing else does
            session._held.locks.close()
            session._held.operation.close()
        assert not done or step in place.times()
        assert_sound(place, step + 1)
        if not spent:
            break
    assert step > 40
    assert FIRST in [entry.name.time for entry in place.store.snapshots(ROOT, request().group)]
