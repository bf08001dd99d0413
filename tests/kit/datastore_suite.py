"""What every implementation of `Datastore` must do. A backend subclasses `DatastoreSuite` and gives the fixture `store`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from uuid import UUID

import numpy as np
import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot, write_archive, write_manifest
from platevault.errors import Conflict, Corrupt, Invalid, NotFound
from platevault.formats import blob, fixed_index
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.formats.names import MANIFEST_NAME, ROOT, GroupName, Namespace, SnapshotName
from platevault.store.datastore import Datastore, Inserted

A = Namespace.parse("a")
AB = Namespace.parse("a/b")
HOST = GroupName.parse("host/a")
PLAIN = b"what a chunk holds " * 100
DIGEST = hashlib.sha256(PLAIN).digest()
RAW = blob.encode(PLAIN, compress=False)
SMALL = blob.encode(PLAIN)


def encrypted(length: int, kind: blob.BlobKind = blob.BlobKind.ENCRYPTED) -> bytes:
    """Something that looks like an encrypted blob of this length; a server cannot tell more."""
    return blob.header(kind, 0, bytes(16), bytes(16)) + bytes(length - 44)


class ChunkSuite:
    """Chunks."""

    def test_a_chunk_comes_back(self, store: Datastore) -> None:
        inserted = store.chunks.insert(DIGEST, RAW)
        assert (inserted.stored_bytes, inserted.existed) == (len(RAW), False)
        assert store.chunks.load(DIGEST) == RAW
        assert store.chunks.stored_bytes(DIGEST) == len(RAW)
        with store.chunks.open(DIGEST) as file:
            assert file.read() == RAW

    def test_a_streamed_chunk_comes_back(self, store: Datastore) -> None:
        writer = store.chunks.begin(DIGEST, encoded_bytes=len(RAW), header_bytes=12)
        for start in range(12, len(RAW), 100):
            writer.write(memoryview(RAW)[start : start + 100])
            assert store.chunks.stored_bytes(DIGEST) is None
        assert writer.commit(RAW[:12]).existed is False
        writer.discard()
        assert store.chunks.load(DIGEST) == RAW

    def test_a_discarded_chunk_leaves_nothing(self, store: Datastore) -> None:
        writer = store.chunks.begin(DIGEST, encoded_bytes=len(RAW), header_bytes=12)
        writer.write(RAW[12:])
        writer.discard()
        writer.discard()
        assert store.chunks.stored_bytes(DIGEST) is None
        assert list(store.chunks.entries()) == []

    def test_a_missing_chunk_is_not_found(self, store: Datastore) -> None:
        assert store.chunks.stored_bytes(DIGEST) is None
        assert store.chunks.touch(DIGEST) is False
        assert store.chunks.times(DIGEST) is None
        with pytest.raises(NotFound):
            store.chunks.load(DIGEST)

    @pytest.mark.parametrize(
        ("stored", "incoming", "existed", "kept"),
        [
            (RAW, RAW, True, RAW),
            (b"", SMALL, False, SMALL),
            (SMALL, RAW, True, SMALL),
            (RAW, SMALL, False, SMALL),
            (encrypted(100), encrypted(90, blob.BlobKind.ENCRYPTED_ZSTD), True, encrypted(100)),
            (encrypted(90, blob.BlobKind.ENCRYPTED_ZSTD), encrypted(100), True, encrypted(90, blob.BlobKind.ENCRYPTED_ZSTD)),
            (encrypted(9000), SMALL, False, SMALL),
            (encrypted(len(RAW)), RAW, True, encrypted(len(RAW))),
        ],
        ids=["same length", "empty file", "shorter stays", "longer goes", "both encrypted", "mixed", "plain is smaller", "length decides"],
    )
    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    def test_insert_rules(self, store: Datastore, stored: bytes, incoming: bytes, existed: bool, kept: bytes, streamed: bool) -> None:
        store.chunks.insert(DIGEST, stored)
        result = put(store, DIGEST, incoming, streamed=streamed)
        assert (result.existed, result.stored_bytes) == (existed, len(kept))
        assert store.chunks.load(DIGEST) == kept
        assert len(list(store.chunks.entries())) == 1

    @pytest.mark.parametrize(("stored", "incoming"), [(RAW, encrypted(100)), (encrypted(100), encrypted(200))])
    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    def test_kinds_that_clash_are_refused(self, store: Datastore, stored: bytes, incoming: bytes, streamed: bool) -> None:
        store.chunks.insert(DIGEST, stored)
        with pytest.raises(Conflict):
            put(store, DIGEST, incoming, streamed=streamed)
        assert store.chunks.load(DIGEST) == stored
        assert len(list(store.chunks.entries())) == 1

    def test_a_second_insert_is_a_sign_of_use(self, store: Datastore) -> None:
        store.chunks.insert(DIGEST, RAW)
        for use in (lambda: store.chunks.insert(DIGEST, RAW), lambda: store.chunks.touch(DIGEST)):
            store.chunks.age(DIGEST, seconds=1000)
            before = store.chunks.times(DIGEST)
            use()
            after = store.chunks.times(DIGEST)
            assert before is not None
            assert after is not None
            assert after.used >= before.used + 900

    def test_corrupt_chunks_are_set_aside_and_can_be_uploaded_again(self, store: Datastore) -> None:
        names = []
        for _ in range(12):
            store.chunks.insert(DIGEST, RAW)
            names.append(store.chunks.mark_bad(DIGEST, is_bad=lambda raw: raw == RAW))
            assert store.chunks.stored_bytes(DIGEST) is None
        assert names == [f"{DIGEST.hex()}.{min(number, 9)}.bad" for number in range(12)]
        store.chunks.insert(DIGEST, RAW)
        assert sorted(entry.bad for entry in store.chunks.entries() if entry.bad is not None) == list(range(10))
        assert [entry.digest for entry in store.chunks.entries() if entry.bad is None] == [DIGEST]

    def test_a_chunk_that_is_good_again_stays(self, store: Datastore) -> None:
        store.chunks.insert(DIGEST, RAW)
        assert store.chunks.mark_bad(DIGEST, is_bad=lambda raw: raw != RAW) is None
        assert store.chunks.load(DIGEST) == RAW
        store.chunks.mark_bad(DIGEST, is_bad=lambda raw: True)
        with pytest.raises(NotFound):
            store.chunks.mark_bad(DIGEST, is_bad=lambda raw: True)

    def test_folders_show_what_is_stored(self, store: Datastore) -> None:
        store.chunks.insert(DIGEST, RAW)
        ((name, size, used),) = store.chunks.folder(int(DIGEST.hex()[:4], 16))
        times = store.chunks.times(DIGEST)
        assert (name, size) == (DIGEST.hex(), len(RAW))
        assert times is not None
        assert used == times.used

    def test_only_what_is_old_is_deleted(self, store: Datastore) -> None:
        store.chunks.insert(DIGEST, RAW)
        times = store.chunks.times(DIGEST)
        assert times is not None
        assert store.chunks.delete_unused(DIGEST.hex(), before=times.used) is None
        assert store.chunks.delete_unused(DIGEST.hex(), before=times.used + 1) == len(RAW)
        assert store.chunks.delete_unused(DIGEST.hex(), before=times.used + 1) is None
        assert store.chunks.stored_bytes(DIGEST) is None

    def test_reading_order_has_every_digest(self, store: Datastore) -> None:
        digests = [store_piece(store, piece) for piece in pieces("order", 20)] + [DIGEST]
        assert sorted(store.chunks.in_reading_order(digests)) == sorted(digests)


class NamespaceSuite:
    """Namespaces and groups."""

    def test_namespaces_are_listed_depth_first(self, store: Datastore) -> None:
        for text in ("b", "a/x", "a/b/c"):
            store.create_namespace(Namespace.parse(text))
        assert [str(ns) for ns in store.namespaces(ROOT)] == ["", "a", "a/b", "a/b/c", "a/x", "b"]
        assert [str(ns) for ns in store.namespaces(ROOT, max_depth=1)] == ["", "a", "b"]
        assert [str(ns) for ns in store.namespaces(A)] == ["a", "a/b", "a/b/c", "a/x"]

    def test_a_namespace_exists_once(self, store: Datastore) -> None:
        assert store.namespace_exists(ROOT)
        assert not store.namespace_exists(A)
        store.create_namespace(A)
        assert store.namespace_exists(A)
        with pytest.raises(Conflict):
            store.create_namespace(A)

    def test_only_an_empty_namespace_is_removed(self, store: Datastore) -> None:
        store.create_namespace(AB)
        with pytest.raises(Conflict):
            store.remove_namespace(A)
        made = backup(store, ns=AB)
        with pytest.raises(Conflict):
            store.remove_namespace(AB)
        store.remove_snapshot(AB, made.name)
        store.remove_namespace(AB)
        store.remove_namespace(A)
        assert list(store.namespaces(ROOT)) == [ROOT]
        with pytest.raises(NotFound):
            store.remove_namespace(A)
        with pytest.raises(Invalid):
            store.remove_namespace(ROOT)

    def test_groups_sort_by_type_and_number(self, store: Datastore) -> None:
        for text in ("vm/100", "vm/20", "host/b", "ct/a", "ct/7"):
            with store.lock_group(ROOT, GroupName.parse(text)):
                store.create_group(ROOT, GroupName.parse(text), "root@pam")
        assert [str(group) for group in store.groups(ROOT)] == ["ct/7", "ct/a", "host/b", "vm/20", "vm/100"]
        assert store.groups(A) == []

    def test_the_first_backup_decides_the_owner(self, store: Datastore) -> None:
        assert store.create_group(ROOT, HOST, "alice@pbs!node") == "alice@pbs!node"
        assert store.create_group(ROOT, HOST, "bob@pbs") == "alice@pbs!node"
        assert store.owner(ROOT, HOST) == "alice@pbs!node"
        store.set_owner(ROOT, HOST, "bob@pbs")
        assert store.owner(ROOT, HOST) == "bob@pbs"

    def test_a_group_needs_its_namespace(self, store: Datastore) -> None:
        with pytest.raises(NotFound):
            store.create_group(A, HOST, "root@pam")

    def test_group_notes(self, store: Datastore) -> None:
        store.create_group(ROOT, HOST, "root@pam")
        assert (store.group_notes(ROOT, HOST), store.has_group_notes(ROOT, HOST)) == ("", False)
        store.set_group_notes(ROOT, HOST, "zwei Zeilen: ä\nzweite")
        assert store.group_notes(ROOT, HOST) == "zwei Zeilen: ä\nzweite"
        store.set_group_notes(ROOT, HOST, "")
        assert (store.group_notes(ROOT, HOST), store.has_group_notes(ROOT, HOST)) == ("", True)

    @pytest.mark.parametrize("ask", [Datastore.owner, Datastore.group_notes], ids=["owner", "notes"])
    def test_an_unknown_group_is_not_found(self, store: Datastore, ask: Callable[..., object]) -> None:
        with pytest.raises(NotFound):
            getattr(store, ask.__name__)(ROOT, HOST)
        assert store.snapshots(ROOT, HOST) == []
        assert not store.group_exists(ROOT, HOST)

    def test_removal_of_a_group_keeps_protected_snapshots(self, store: Datastore) -> None:
        names = [backup(store, snapshot(time=NOON + day * DAY)).name for day in range(3)]
        store.set_protected(ROOT, names[1], True)
        removed = store.remove_group(ROOT, HOST)
        assert (removed.groups, removed.snapshots, removed.protected_snapshots) == (0, 2, 1)
        assert removed.protected_names == [names[1]]
        assert [entry.name for entry in store.snapshots(ROOT, HOST)] == [names[1]]
        store.set_protected(ROOT, names[1], False)
        assert store.remove_group(ROOT, HOST).groups == 1
        assert not store.group_exists(ROOT, HOST)
        with pytest.raises(NotFound):
            store.remove_group(ROOT, HOST)


class SnapshotSuite:
    """Snapshots and their files."""

    def test_a_snapshot_is_finished_by_its_manifest(self, store: Datastore) -> None:
        name = snapshot()
        with store.lock_group(ROOT, HOST):
            store.create_group(ROOT, HOST, "root@pam")
            with store.create_snapshot(ROOT, name):
                file = write_archive(store, ROOT, name, "root.pxar.didx", pieces("x"))
                assert [entry.finished for entry in store.snapshots(ROOT, HOST)] == [False]
                with pytest.raises(NotFound):
                    store.read_manifest(ROOT, name)
                write_manifest(store, ROOT, name, [file])
                store.flush()
        assert [entry.finished for entry in store.snapshots(ROOT, HOST)] == [True]
        assert store.read_manifest(ROOT, name).files[0] == file

    def test_snapshots_are_listed_newest_first(self, store: Datastore) -> None:
        for day in (1, 0, 2):
            backup(store, snapshot(time=NOON + day * DAY))
        assert [entry.name.time for entry in store.snapshots(ROOT, HOST)] == [NOON + 2 * DAY, NOON + DAY, NOON]

    def test_a_backup_time_is_used_once(self, store: Datastore) -> None:
        backup(store, finish=False)
        assert store.snapshot_exists(ROOT, snapshot())
        with pytest.raises(Conflict):
            store.create_snapshot(ROOT, snapshot())
        store.lock_snapshot(ROOT, snapshot(), shared=False).release()

    def test_a_failed_backup_leaves_no_snapshot(self, store: Datastore) -> None:
        with store.lock_group(ROOT, HOST):
            store.create_group(ROOT, HOST, "root@pam")
            with store.create_snapshot(ROOT, snapshot()):
                writer = store.create_fixed_index(ROOT, snapshot(), "a.img.fidx", size=None)
                store.remove_snapshot(ROOT, snapshot(), force=True, locked=True)
                writer.drop()
            assert store.group_exists(ROOT, HOST)
        assert store.remove_empty_group(ROOT, HOST)
        assert not store.remove_empty_group(ROOT, HOST)
        assert not store.group_exists(ROOT, HOST)

    def test_the_group_goes_with_its_last_snapshot(self, store: Datastore) -> None:
        names = [backup(store, snapshot(time=NOON + day)).name for day in range(2)]
        store.remove_snapshot(ROOT, names[0])
        assert store.group_exists(ROOT, HOST)
        store.remove_snapshot(ROOT, names[1])
        assert not store.group_exists(ROOT, HOST)
        with pytest.raises(NotFound):
            store.remove_snapshot(ROOT, names[1])

    def test_a_group_in_use_stays_when_it_becomes_empty(self, store: Datastore) -> None:
        made = backup(store)
        with store.lock_group(ROOT, HOST):
            store.remove_snapshot(ROOT, made.name)
            assert store.group_exists(ROOT, HOST)

    def test_protection(self, store: Datastore) -> None:
        made = backup(store)
        assert not store.is_protected(ROOT, made.name)
        store.set_protected(ROOT, made.name, True)
        store.set_protected(ROOT, made.name, True)
        assert store.is_protected(ROOT, made.name)
        assert [entry.protected for entry in store.snapshots(ROOT, HOST)] == [True]
        with pytest.raises(Conflict):
            store.remove_snapshot(ROOT, made.name)
        store.set_protected(ROOT, made.name, False)
        store.set_protected(ROOT, made.name, False)
        store.remove_snapshot(ROOT, made.name)

    def test_files_are_those_of_a_backup(self, store: Datastore) -> None:
        made = backup(store)
        store.set_protected(ROOT, made.name, True)
        store.write_blob(ROOT, made.name, "a.conf.blob", SMALL)
        assert [(file.name, file.size > 0) for file in store.files(ROOT, made.name)] == [
            ("a.conf.blob", True),
            (MANIFEST_NAME, True),
            ("root.pxar.didx", True),
        ]
        assert store.read_file(ROOT, made.name, "a.conf.blob") == SMALL

    def test_a_blob_is_replaced_unless_told_otherwise(self, store: Datastore) -> None:
        made = backup(store)
        store.write_blob(ROOT, made.name, "a.conf.blob", SMALL, replace=False)
        store.write_blob(ROOT, made.name, "a.conf.blob", RAW)
        with pytest.raises(Conflict):
            store.write_blob(ROOT, made.name, "a.conf.blob", SMALL, replace=False)
        assert store.read_file(ROOT, made.name, "a.conf.blob") == RAW

    @pytest.mark.parametrize("name", ["../x.blob", "a/b.blob", "x", ".hidden.blob", "x.txt", ""])
    def test_other_names_are_refused(self, store: Datastore, name: str) -> None:
        made = backup(store)
        for act in (
            lambda: store.read_file(ROOT, made.name, name),
            lambda: store.open_file(ROOT, made.name, name),
            lambda: store.write_blob(ROOT, made.name, name, SMALL),
            lambda: store.create_dynamic_index(ROOT, made.name, name),
            lambda: store.create_fixed_index(ROOT, made.name, name, size=1),
        ):
            with pytest.raises(Invalid):
                act()

    def test_the_manifest_changes_under_its_lock(self, store: Datastore) -> None:
        made = backup(store)
        store.update_manifest(ROOT, made.name, lambda old: old.with_unprotected(notes="ä"))
        assert store.read_manifest(ROOT, made.name).unprotected["notes"] == "ä"

    def test_a_manifest_that_is_none_is_corrupt(self, store: Datastore) -> None:
        made = backup(store)
        store.write_blob(ROOT, made.name, MANIFEST_NAME, SMALL)
        with pytest.raises(Corrupt):
            store.read_manifest(ROOT, made.name)

    def test_a_list_shows_each_change(self, store: Datastore) -> None:
        made = backup(store, finish=False)
        assert not store.snapshots(ROOT, HOST)[0].finished
        write_manifest(store, ROOT, made.name, [])
        assert store.snapshots(ROOT, HOST)[0].finished
        store.set_protected(ROOT, made.name, True)
        assert store.snapshots(ROOT, HOST)[0].protected


class IndexSuite:
    """Index files."""

    def test_a_dynamic_index_comes_back(self, store: Datastore) -> None:
        name = unfinished(store)
        writer = store.create_dynamic_index(ROOT, name, "a.didx")
        entries = [((number + 1) * 1000, os.urandom(32)) for number in range(5000)]
        for end, digest in entries:
            writer.append(end, digest)
        assert writer.checksum() == writer.close()
        index = store.open_index(ROOT, name, "a.didx")
        assert isinstance(index, DynamicIndex)
        assert [(index.chunk_span(number)[1], index.digest(number)) for number in range(index.count)] == entries
        assert [file.path for file in store.index_files()] == [f"{name}/a.didx"]
        assert store.open_index_file(f"{name}/a.didx").checksum() == index.checksum()

    @pytest.mark.parametrize("known", [False, True], ids=["size unknown", "size known"])
    def test_a_fixed_index_comes_back(self, store: Datastore, known: bool) -> None:
        name = unfinished(store)
        size = 5000 * CHUNK_BYTES - 17
        digests = [os.urandom(32) for _ in range(5000)]
        writer = store.create_fixed_index(ROOT, name, "a.fidx", size=size if known else None)
        for number in [*range(4000, 5000), *range(1000), *reversed(range(1000, 4000))]:
            writer.set(number, digests[number])
        assert writer.checksum() == writer.close(size)
        index = store.open_index(ROOT, name, "a.fidx")
        assert isinstance(index, FixedIndex)
        assert (index.size, index.chunk_size) == (size, CHUNK_BYTES)
        assert [index.digest(number) for number in range(index.count)] == digests

    def test_a_fixed_index_starts_with_that_of_before(self, store: Datastore) -> None:
        name = unfinished(store)
        base = fixed_base(10)
        writer = store.create_fixed_index(ROOT, name, "a.fidx", size=base.size, base=base)
        assert writer.checksum() == base.checksum()
        writer.set(3, DIGEST)
        writer.set(3, DIGEST)
        writer.close(base.size)
        index = store.open_index(ROOT, name, "a.fidx")
        assert [number for number in range(10) if index.digest(number) != base.digest(number)] == [3]

    def test_a_dropped_index_leaves_nothing(self, store: Datastore) -> None:
        name = unfinished(store)
        store.create_dynamic_index(ROOT, name, "a.didx").drop()
        writer = store.create_dynamic_index(ROOT, name, "a.didx")
        with pytest.raises(Conflict):
            store.create_dynamic_index(ROOT, name, "a.didx")
        assert (store.files(ROOT, name), list(store.index_files())) == ([], [])
        writer.drop()

    def test_an_index_without_chunks_is_refused(self, store: Datastore) -> None:
        """Nobody could read it, and garbage collection would stop at it."""
        name = unfinished(store)
        dynamic = store.create_dynamic_index(ROOT, name, "a.didx")
        with pytest.raises(Invalid, match="no chunks"):
            dynamic.close()
        fixed = store.create_fixed_index(ROOT, name, "a.fidx", size=None)
        with pytest.raises(Invalid, match="no chunks"):
            fixed.close(0)
        assert (store.files(ROOT, name), list(store.index_files())) == ([], [])
        store.create_dynamic_index(ROOT, name, "a.didx").drop()

    def test_an_index_that_is_none_is_corrupt(self, store: Datastore) -> None:
        name = unfinished(store)
        writer = store.create_dynamic_index(ROOT, name, "a.didx")
        writer.append(10, DIGEST)
        writer.close()
        with pytest.raises(NotFound):
            store.open_index(ROOT, name, "b.didx")
        store.write_blob(ROOT, name, "a.didx", b"nothing of the kind")
        with pytest.raises(Corrupt):
            store.open_index(ROOT, name, "a.didx")


class LockSuite:
    """Locks between sessions."""

    def test_a_group_has_one_writer(self, store: Datastore) -> None:
        with store.lock_group(ROOT, HOST):
            with pytest.raises(Conflict):
                store.lock_group(ROOT, HOST)
            store.lock_group(ROOT, GroupName.parse("host/b")).release()
            store.lock_group(A, HOST).release()
        store.lock_group(ROOT, HOST).release()

    def test_readers_share_a_snapshot(self, store: Datastore) -> None:
        made = backup(store)
        with store.lock_snapshot(ROOT, made.name, shared=True), store.lock_snapshot(ROOT, made.name, shared=True):
            for act in (
                lambda: store.lock_snapshot(ROOT, made.name, shared=False),
                lambda: store.remove_snapshot(ROOT, made.name),
                lambda: store.set_protected(ROOT, made.name, True),
            ):
                with pytest.raises(Conflict):
                    act()
            store.update_manifest(ROOT, made.name, lambda old: old)
        store.remove_snapshot(ROOT, made.name)

    def test_a_running_backup_excludes_readers_and_removal(self, store: Datastore) -> None:
        store.create_group(ROOT, HOST, "root@pam")
        with store.create_snapshot(ROOT, snapshot()):
            for act in (
                lambda: store.lock_snapshot(ROOT, snapshot(), shared=True),
                lambda: store.remove_snapshot(ROOT, snapshot()),
                lambda: store.remove_group(ROOT, HOST),
            ):
                with pytest.raises(Conflict):
                    act()
        with store.lock_group(ROOT, HOST), pytest.raises(Conflict):
            store.set_owner(ROOT, HOST, "bob@pbs")

    def test_the_oldest_writer_counts(self, store: Datastore) -> None:
        assert store.oldest_writer() is None
        with store.hold_for_writing():
            first = store.oldest_writer()
            with store.hold_for_writing():
                assert store.oldest_writer() == first
        assert first is not None
        assert store.oldest_writer() is None

    def test_writers_and_one_collection_coexist(self, store: Datastore) -> None:
        with store.hold_for_writing(), store.hold_for_collection():
            with pytest.raises(Conflict):
                store.hold_for_collection()
            store.hold_for_writing().release()
        store.hold_for_collection().release()


class WholeSuite:
    """The store as a whole."""

    def test_space(self, store: Datastore) -> None:
        space = store.space()
        assert space.total >= space.used >= 0
        assert 0 < space.available <= space.total

    def test_the_status_of_a_collection_is_kept(self, store: Datastore) -> None:
        assert store.load_gc_status() is None
        store.save_gc_status({"upid": None, "disk-bytes": 3})
        assert store.load_gc_status() == {"upid": None, "disk-bytes": 3}


class DatastoreSuite(ChunkSuite, NamespaceSuite, SnapshotSuite, IndexSuite, LockSuite, WholeSuite):
    """All of it."""


def put(store: Datastore, digest: bytes, encoded: bytes, *, streamed: bool) -> Inserted:
    """Insert in one go or in pieces."""
    if not streamed:
        return store.chunks.insert(digest, encoded)
    header_bytes = blob.kind_of(encoded).header_bytes
    writer = store.chunks.begin(digest, encoded_bytes=len(encoded), header_bytes=header_bytes)
    writer.write(encoded[header_bytes:])
    return writer.commit(encoded[:header_bytes])


def store_piece(store: Datastore, plain: bytes) -> bytes:
    digest = hashlib.sha256(plain).digest()
    store.chunks.insert(digest, blob.encode(plain))
    return digest


def unfinished(store: Datastore) -> SnapshotName:
    """An empty snapshot, not locked."""
    store.create_group(ROOT, HOST, "root@pam")
    store.create_snapshot(ROOT, snapshot()).release()
    return snapshot()


def fixed_base(count: int) -> FixedIndex:
    """A fixed index of so many random digests."""
    digests = np.frombuffer(os.urandom(32 * count), np.uint8).reshape(count, fixed_index.DIGEST_BYTES)
    return FixedIndex(UUID(int=1), NOON, count * CHUNK_BYTES, CHUNK_BYTES, digests)
