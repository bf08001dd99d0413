"""Verification: what is wrong is found, noted and set aside; what could only not be read is neither good nor corrupt."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.backups import DAY, NOON, Made, backup, pieces, snapshot, write_archive, write_manifest
from kit.stores import SparseDatastore, sparse_store
from platevault.clock import ManualClock
from platevault.errors import Aborted, Unavailable
from platevault.formats import blob
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode, ManifestFile
from platevault.formats.names import MANIFEST_NAME, ROOT, GroupName, Namespace, SnapshotName
from platevault.services.progress import Recorded
from platevault.services.verify import EVERYTHING, Selection, Target, VerifyFailed, run_verify, targets_below, targets_in
from platevault.store.datastore import Datastore, Digest

UPID = "UPID:node:0000A1B2:01C3D4E5:0000002A:68A1B2C3:verify:store:root@pam:"
STARTED = 0x68A1B2C3
KEY = CryptKey(bytes(range(32)))


@pytest.fixture
def store(tmp_path: Path) -> SparseDatastore:
    return sparse_store(tmp_path)


def verify(
    store: Datastore, targets: Iterable[Target] | None = None, *, selection: Selection = EVERYTHING, task: Recorded | None = None
) -> list[str]:
    """Names of those that failed."""
    chosen = targets_below(store, ROOT) if targets is None else targets
    clock = ManualClock(STARTED + 10 * DAY)
    try:
        run_verify(store, chosen, task or Recorded(), upid=UPID, clock=clock, selection=selection, workers=2)
    except VerifyFailed as error:
        failed: list[str] = error.failed
        return failed
    return []


def state(store: Datastore, name: SnapshotName, ns: Namespace = ROOT) -> str | None:
    found = store.read_manifest(ns, name).unprotected.get("verify_state")
    assert found is None or found["upid"] == UPID
    return None if found is None else str(found["state"])


def path_of(store: SparseDatastore, digest: Digest) -> Path:
    assert store.path is not None
    return store.path / ".chunks" / digest.hex()[:4] / digest.hex()


def bad_names(store: Datastore) -> list[tuple[Digest, int | None]]:
    return [(entry.digest, entry.bad) for entry in store.chunks.entries() if entry.bad is not None]


def test_a_good_snapshot(store: SparseDatastore) -> None:
    made = backup(store)
    task = Recorded()
    assert verify(store, task=task) == []
    assert state(store, made.name) == "ok"
    assert task.lines[0] == f"verify store:{made.name}"
    assert task.lines[1] == "  check root.pxar.didx"
    assert task.lines[2].startswith("  verified 0.00/0.00 MiB in 0.00 seconds, speed ")
    assert task.lines[2].endswith(" MiB/s (0 errors)")


def flip(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "one bit": lambda raw: flip(raw, len(raw) // 2),
    "one bit of the magic": lambda raw: flip(raw, 0),
    "one bit of the checksum": lambda raw: flip(raw, 8),
    "cut": lambda raw: raw[:-1],
    "longer": lambda raw: raw + b"\0",
    "empty": lambda raw: b"",
    "zeros": lambda raw: bytes(len(raw)),
    "other content": lambda raw: blob.encode(bytes(500)),
    "other length": lambda raw: blob.encode(bytes(400)),
    "no compressed data": lambda raw: blob.header(blob.BlobKind.ZSTD, blob.crc32(b"nothing")) + b"nothing",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_corrupt_chunk(store: SparseDatastore, damage: Callable[[bytes], bytes]) -> None:
    made, other = backup(store), backup(store, snapshot("host/b"))
    path = path_of(store, made.digests[1])
    path.write_bytes(damage(path.read_bytes()))
    assert verify(store) == [str(made.name)]
    assert (state(store, made.name), state(store, other.name)) == ("failed", "ok")
    assert bad_names(store) == [(made.digests[1], 0)]
    assert store.chunks.stored_bytes(made.digests[1]) is None
    heal(store, made)


def heal(store: SparseDatastore, made: Made) -> None:
    """The next backup uploads what is missing, and the old snapshot is good again."""
    backup(store, snapshot(time=NOON + DAY), chunks=pieces(str(made.name)))
    assert verify(store) == []
    assert state(store, made.name) == "ok"


def test_a_missing_chunk(store: SparseDatastore) -> None:
    made = backup(store)
    path_of(store, made.digests[0]).unlink()
    task = Recorded()
    assert verify(store, task=task) == [str(made.name)]
    assert state(store, made.name) == "failed"
    assert any(line.startswith(f"chunk {made.digests[0].hex()}: missing") for line in task.lines)
    assert bad_names(store) == []
    heal(store, made)


def encrypted(plain: bytes) -> tuple[Digest, bytes]:
    return KEY.digest(plain), blob.encode(plain, key=KEY)


def write_encrypted(store: Datastore, mode: CryptMode, chunks: Sequence[bytes]) -> list[Digest]:
    """A snapshot of encrypted chunks whose manifest says `mode`."""
    store.create_group(ROOT, snapshot().group, "root@pam")
    digests = []
    with store.create_snapshot(ROOT, snapshot()):
        writer = store.create_dynamic_index(ROOT, snapshot(), "a.pxar.didx")
        end = 0
        for plain in chunks:
            digest, raw = encrypted(plain)
            store.chunks.insert(digest, raw)
            digests.append(digest)
            end += len(plain)
            writer.append(end, digest)
        write_manifest(store, ROOT, snapshot(), [ManifestFile("a.pxar.didx", end, writer.close().hex(), mode)])
    return digests


def test_encrypted_chunks_are_checked_by_their_sum(store: SparseDatastore) -> None:
    digests = write_encrypted(store, CryptMode.ENCRYPT, pieces("secret"))
    assert verify(store) == []
    path = path_of(store, digests[2])
    path.write_bytes(flip(path.read_bytes(), 100))
    assert verify(store) == [str(snapshot())]
    assert bad_names(store) == [(digests[2], 0)]


@pytest.mark.parametrize("mode", [CryptMode.NONE, CryptMode.SIGN_ONLY])
def test_an_encrypted_chunk_in_a_plain_archive_is_wrong_but_stays(store: SparseDatastore, mode: CryptMode) -> None:
    """The chunk may be good: the manifest is wrong, or the index."""
    write_encrypted(store, mode, pieces("secret"))
    assert verify(store) == [str(snapshot())]
    assert state(store, snapshot()) == "failed"
    assert bad_names(store) == []


def test_a_plain_chunk_in_an_encrypted_archive_is_wrong_but_stays(store: SparseDatastore) -> None:
    store.create_group(ROOT, snapshot().group, "root@pam")
    with store.create_snapshot(ROOT, snapshot()):
        file = write_archive(store, ROOT, snapshot(), "a.pxar.didx", pieces("plain"))
        write_manifest(store, ROOT, snapshot(), [ManifestFile(file.filename, file.size, file.csum, CryptMode.ENCRYPT)])
    assert verify(store) == [str(snapshot())]
    assert bad_names(store) == []


class TestFiles:
    """The archives and blobs that a manifest names."""

    @staticmethod
    def rewrite(store: SparseDatastore, name: str, change: Callable[[bytes], bytes]) -> None:
        store.write_blob(ROOT, snapshot(), name, change(store.read_file(ROOT, snapshot(), name)))

    @pytest.fixture
    def made(self, store: SparseDatastore) -> Made:
        """A snapshot with an archive and two blobs, one of them compressed."""
        store.create_group(ROOT, snapshot().group, "root@pam")
        with store.create_snapshot(ROOT, snapshot()):
            files = [write_archive(store, ROOT, snapshot(), "root.pxar.didx", pieces("x"))]
            for name, plain in (("a.conf.blob", b"text " * 100), ("b.conf.blob", os.urandom(50))):
                raw = blob.encode(plain)
                store.write_blob(ROOT, snapshot(), name, raw)
                files.append(ManifestFile(name, len(raw), hashlib.sha256(raw).hexdigest(), CryptMode.NONE))
            write_manifest(store, ROOT, snapshot(), files)
        return Made(ROOT, snapshot(), ())

    def test_all_of_them_are_good(self, store: SparseDatastore, made: Made) -> None:
        assert verify(store) == []
        store.write_blob(ROOT, snapshot(), "client.log.blob", b"what the manifest does not name is not looked at")
        assert verify(store) == []

    @pytest.mark.parametrize("name", ["a.conf.blob", "b.conf.blob", "root.pxar.didx"])
    @pytest.mark.parametrize("change", [lambda raw: flip(raw, len(raw) - 1), lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw * 2])
    def test_one_is_damaged(self, store: SparseDatastore, made: Made, name: str, change: Callable[[bytes], bytes]) -> None:
        self.rewrite(store, name, change)
        assert verify(store) == [str(snapshot())]
        assert state(store, snapshot()) == "failed"
        assert bad_names(store) == []

    @pytest.mark.parametrize("name", ["a.conf.blob", "root.pxar.didx"])
    def test_one_is_missing(self, store: SparseDatastore, made: Made, name: str, tmp_path: Path) -> None:
        (tmp_path / "store" / str(snapshot()) / name).unlink()
        assert verify(store) == [str(snapshot())]
        assert state(store, snapshot()) == "failed"

    @pytest.mark.parametrize("raw", [b"no blob at all", flip(blob.encode(b"x" * 50), 8), DAMAGE["no compressed data"](b"")])
    def test_a_blob_that_is_none_has_the_right_sum(self, store: SparseDatastore, made: Made, raw: bytes) -> None:
        store.write_blob(ROOT, snapshot(), "a.conf.blob", raw)
        wrong = ManifestFile("a.conf.blob", len(raw), hashlib.sha256(raw).hexdigest(), CryptMode.NONE)
        write_manifest(store, ROOT, snapshot(), [wrong])
        assert verify(store) == [str(snapshot())]

    @pytest.mark.parametrize("size", [0, 1499, 1501])
    def test_a_manifest_that_says_another_size(self, store: SparseDatastore, made: Made, size: int) -> None:
        right = store.read_manifest(ROOT, snapshot()).file("root.pxar.didx")
        assert right is not None
        write_manifest(store, ROOT, snapshot(), [ManifestFile(right.filename, size, right.csum, right.crypt_mode)])
        assert verify(store) == [str(snapshot())]

    def test_a_manifest_that_is_none(self, store: SparseDatastore, made: Made, tmp_path: Path) -> None:
        path = tmp_path / "store" / str(snapshot()) / MANIFEST_NAME
        path.write_bytes(b"nothing of the kind")
        task = Recorded()
        assert verify(store, task=task) == [str(snapshot())]
        assert any("manifest load error" in line for line in task.lines)
        assert path.read_bytes() == b"nothing of the kind"

    def test_a_state_that_cannot_be_stored(self, store: SparseDatastore, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "rename", full)
        assert verify(store) == [str(snapshot())]
        monkeypatch.undo()
        assert state(store, snapshot()) is None


class Flaky(Recorded):
    """Replaces `load` of a store's chunks by one that gives what it is told for some digests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: SparseDatastore, answers: dict[Digest, list[Exception | bytes]]) -> None:
        super().__init__()
        self.loads: list[Digest] = []
        real = store.chunks.load

        def load(digest: Digest) -> bytes:
            self.loads.append(digest)
            if answers.get(digest):
                answer = answers[digest].pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
            return real(digest)

        monkeypatch.setattr(store.chunks, "load", load)


class TestTransient:
    """What could not be read now says nothing about its content."""

    def test_the_old_state_stays(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        made = backup(store)
        assert verify(store) == []
        task = Flaky(monkeypatch, store, {made.digests[0]: [Unavailable("disk is slow")]})
        assert verify(store, task=task) == [str(made.name)]
        assert state(store, made.name) == "ok"
        assert bad_names(store) == []
        assert verify(store) == []

    def test_there_is_no_state_if_there_was_none(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        made = backup(store)
        Flaky(monkeypatch, store, {made.digests[0]: [Unavailable("disk is slow")]})
        assert verify(store) == [str(made.name)]
        assert state(store, made.name) is None

    def test_a_read_error_of_the_system(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        made = backup(store)
        real = os.pread

        def pread(descriptor: int, size: int, offset: int) -> bytes:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith(made.digests[2].hex()):
                raise OSError(5, os.strerror(5))
            return real(descriptor, size, offset)

        monkeypatch.setattr(os, "pread", pread)
        task = Recorded()
        assert verify(store, task=task) == [str(made.name)]
        assert (state(store, made.name), bad_names(store)) == (None, [])
        assert any("Input/output error" in line for line in task.lines)

    @pytest.mark.parametrize("corrupt_first", [True, False])
    def test_what_is_certainly_corrupt_is_noted_all_the_same(
        self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch, corrupt_first: bool
    ) -> None:
        made = backup(store)
        corrupt, slow = made.digests[:2] if corrupt_first else made.digests[1::-1]
        path_of(store, corrupt).write_bytes(b"corrupt")
        Flaky(monkeypatch, store, {slow: [Unavailable("disk is slow")]})
        assert verify(store) == [str(made.name)]
        assert state(store, made.name) == "failed"
        assert bad_names(store) == [(corrupt, 0)]

    def test_an_unreadable_archive_beside_a_corrupt_one(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        store.create_group(ROOT, snapshot().group, "root@pam")
        with store.create_snapshot(ROOT, snapshot()):
            files = [write_archive(store, ROOT, snapshot(), f"{name}.pxar.didx", pieces(name)) for name in ("a", "b")]
            write_manifest(store, ROOT, snapshot(), files)
        path_of(store, hashlib.sha256(pieces("a")[0]).digest()).unlink()
        Flaky(monkeypatch, store, {hashlib.sha256(pieces("b")[0]).digest(): [Unavailable("disk is slow")]})
        assert verify(store) == [str(snapshot())]
        assert state(store, snapshot()) == "failed"

    def test_what_is_good_when_read_again_is_good(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Memory may fail, and another backup may have stored the chunk anew since the first look."""
        made = backup(store)
        task = Flaky(monkeypatch, store, {made.digests[0]: [b"corrupt"]})
        assert verify(store, task=task) == []
        assert (state(store, made.name), bad_names(store)) == ("ok", [])
        assert any("good when read again" in line for line in task.lines)

    def test_a_chunk_that_cannot_be_renamed_is_corrupt_nevertheless(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        made = backup(store)
        path_of(store, made.digests[0]).write_bytes(b"corrupt")
        task = Recorded()

        def refuse(*_: object, **__: object) -> str:
            raise Unavailable("read-only")

        monkeypatch.setattr(store.chunks, "mark_bad", refuse)
        assert verify(store, task=task) == [str(made.name)]
        assert state(store, made.name) == "failed"
        assert task.warnings == [f"could not rename corrupt chunk {made.digests[0].hex()}: read-only"]

    def test_a_mistake_in_the_program_is_not_hidden(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        made = backup(store)
        Flaky(monkeypatch, store, {made.digests[0]: [ZeroDivisionError()]})
        with pytest.raises(ZeroDivisionError):
            verify(store)
        assert state(store, made.name) is None


class TestOnceARun:
    """Each digest is read once in a run, whatever number of archives name it."""

    def test_good_ones(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        for text in "abc":
            backup(store, snapshot(f"host/{text}"), chunks=[*pieces("shared"), *pieces("shared")])
        task = Flaky(monkeypatch, store, {})
        assert verify(store, task=task) == []
        assert len(task.loads) == 3

    def test_corrupt_ones_count_in_each(self, store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [str(backup(store, snapshot(f"host/{text}"), chunks=pieces("shared")).name) for text in "abc"]
        digest = hashlib.sha256(pieces("shared")[0]).digest()
        path_of(store, digest).write_bytes(b"corrupt")
        task = Flaky(monkeypatch, store, {})
        assert verify(store, task=task) == names
        assert task.loads.count(digest) == 1
        assert bad_names(store) == [(digest, 0)]
        assert [line for line in task.lines if "was marked as corrupt" in line] == [f"chunk {digest.hex()} was marked as corrupt"] * 2


class TestSelection:
    """Which snapshots a run takes."""

    def test_order_and_what_is_left_out(self, store: SparseDatastore) -> None:
        ns = Namespace.parse("a")
        store.create_namespace(ns)
        names = [
            backup(store, snapshot(text, NOON + day), ns=place).name
            for text in ("vm/100", "ct/7")
            for day in (0, 1)
            for place in (ROOT, ns)
        ]
        backup(store, snapshot("host/benchmark"))
        assert len(names) == 8
        found = [f"{ns}:{name.group}/{name.time - NOON}" for ns, name in targets_below(store, ROOT)]
        assert found == [f"{ns}:{group}/{day}" for ns in ("", "a") for group in ("ct/7", "vm/100") for day in (1, 0)]
        assert [ns.depth for ns, _ in targets_below(store, ROOT, max_depth=0)] == [0] * 4
        only = targets_below(store, ROOT, allowed=lambda ns, group: group == GroupName.parse("ct/7") and ns.depth == 1)
        assert [(str(ns), str(name.group)) for ns, name in only] == [("a", "ct/7")] * 2
        assert [name.time - NOON for _, name in targets_in(store, ROOT, GroupName.parse("ct/7"))] == [1, 0]

    @pytest.mark.parametrize(
        ("verified", "selection", "taken"),
        [
            (None, Selection(), True),
            ("ok", Selection(), False),
            ("failed", Selection(), False),
            ("ok", EVERYTHING, True),
            ("ok", Selection(outdated_after=10), False),
            ("ok", Selection(outdated_after=9), True),
            ("failed", Selection(outdated_after=9), True),
            ("ok", Selection(outdated_after=0), True),
        ],
    )
    def test_by_state_and_age(self, store: SparseDatastore, verified: str | None, selection: Selection, taken: bool) -> None:
        made = backup(store)
        if verified:
            before = {"state": verified, "upid": UPID}
            store.update_manifest(ROOT, made.name, lambda old: old.with_unprotected(verify_state=before))
        task = Recorded()
        assert verify(store, selection=selection, task=task) == []
        assert (f"verify store:{made.name}" in task.lines) == taken

    @pytest.mark.parametrize("unreadable", [7, {}, {"upid": 5}, {"upid": "x", "state": "ok"}, []])
    def test_a_state_that_cannot_be_read_counts_as_none(self, store: SparseDatastore, unreadable: Any) -> None:
        made = backup(store)
        store.update_manifest(ROOT, made.name, lambda old: old.with_unprotected(verify_state=unreadable))
        task = Recorded()
        assert verify(store, selection=Selection(), task=task) == []
        assert state(store, made.name) == "ok"
        assert len(task.warnings) == 1

    def test_one_in_use_is_skipped(self, store: SparseDatastore) -> None:
        made = backup(store)
        task = Recorded()
        with store.lock_snapshot(ROOT, made.name, shared=False):
            assert verify(store, task=task) == []
        assert state(store, made.name) is None
        assert task.lines[0].startswith(f"SKIPPED: verify store:{made.name} - could not acquire snapshot lock")

    def test_one_that_is_being_read_is_not(self, store: SparseDatastore) -> None:
        made = backup(store)
        with store.lock_snapshot(ROOT, made.name, shared=True):
            assert verify(store) == []
        assert state(store, made.name) == "ok"

    def test_one_that_is_gone_is_skipped(self, store: SparseDatastore) -> None:
        made = backup(store)
        store.remove_snapshot(ROOT, made.name)
        assert verify(store, [(ROOT, made.name)]) == []
        assert not store.group_exists(ROOT, made.name.group)

    def test_an_unfinished_one_is_an_error(self, store: SparseDatastore) -> None:
        made = backup(store, finish=False)
        assert verify(store) == [str(made.name)]

    def test_names_of_failed_ones_tell_their_namespace(self, store: SparseDatastore) -> None:
        ns = Namespace.parse("a/b")
        store.create_namespace(ns)
        made = backup(store, ns=ns, finish=False)
        assert verify(store) == [f"a/b:{made.name}"]


class Impatient(Recorded):
    """Asks for an end at the n-th look."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience

    def check_abort(self) -> None:
        self.patience -= 1
        self.aborted = self.patience <= 0
        super().check_abort()


def test_an_abort_at_every_step_notes_only_what_was_verified(store: SparseDatastore) -> None:
    names = [backup(store, snapshot(f"host/{text}")).name for text in "ab"]
    for patience in itertools.count(1):
        for name in names:
            store.update_manifest(ROOT, name, lambda old: old.with_unprotected(verify_state=None))
        task = Impatient(patience)
        try:
            verify(store, task=task)
        except Aborted:
            done = "  check root.pxar.didx" in task.lines and sum(line.startswith("  verified") for line in task.lines)
            assert [state(store, name) for name in names] == ["ok"] * done + [None] * (2 - done)
        else:
            assert patience == 2 * 5 + 1
            return
