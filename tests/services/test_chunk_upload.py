"""Chunks arriving in pieces: checked, stored under their digest, or gone without a trace (spec wire-protocol §3.5, §3.6)."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Conflict, Corrupt, Invalid, PlatevaultError, Unavailable
from platevault.formats import blob
from platevault.formats.blob import BlobKind
from platevault.services.body_memory import BodyMemory
from platevault.services.chunk_upload import Announced, ChunkUpload, ChunkVanished, WrongDigest, WrongLength
from platevault.store.datastore import ChunkStore, Inserted

DATA = b"some data that repeats itself, " * 200
IV_TAG = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SparseDatastore]:
    made = sparse_store(tmp_path)
    yield made
    made.close()


def sealed(kind: BlobKind, payload: bytes, *, crc: int | None = None) -> bytes:
    between = IV_TAG if kind.is_encrypted else b""
    return kind.magic + struct.pack("<I", zlib.crc32(payload) if crc is None else crc) + between + payload


FORMS = {
    "plain": sealed(BlobKind.PLAIN, DATA),
    "zstd": sealed(BlobKind.ZSTD, zstandard.ZstdCompressor(level=1).compress(DATA)),
    "encrypted": sealed(BlobKind.ENCRYPTED, DATA),
    "encrypted zstd": sealed(BlobKind.ENCRYPTED_ZSTD, DATA[:100]),
}


def announced(encoded: bytes, data: bytes = DATA) -> Announced:
    return Announced(hashlib.sha256(data).digest(), len(data), len(encoded))


def begin(store: SparseDatastore, about: Announced, memory: BodyMemory | None = None) -> ChunkUpload:
    return ChunkUpload(store.chunks, about, memory or BodyMemory())


def send(upload: ChunkUpload, encoded: bytes) -> Inserted:
    """All of it and the end."""
    upload.feed(memoryview(encoded))
    return upload.finish()


def feed(upload: ChunkUpload, encoded: bytes, cuts: list[int] | None = None) -> None:
    start = 0
    for cut in [*(cuts or []), len(encoded)]:
        upload.feed(memoryview(encoded)[start:cut])
        start = cut


def leftovers(store: SparseDatastore) -> list[str]:
    """Chunks and temp files."""
    assert store.path is not None
    return sorted(path.name for path in (store.path / ".chunks").rglob("*") if path.is_file())


def chunk_file(store: SparseDatastore) -> Path:
    """The only one there is."""
    assert store.path is not None
    (found,) = (path for path in (store.path / ".chunks").rglob("*") if path.is_file())
    return found


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("room", [None, 0], ids=["in memory", "in a temp file"])
@pytest.mark.parametrize("form", FORMS)
def test_every_kind_however_it_is_cut(store: SparseDatastore, form: str, room: int | None) -> None:
    encoded = FORMS[form]

    @given(st.lists(st.integers(0, len(encoded)), max_size=6).map(sorted))
    def check(cuts: list[int]) -> None:
        memory = BodyMemory() if room is None else BodyMemory(room)
        upload = begin(store, announced(encoded), memory)
        feed(upload, encoded, cuts)
        upload.finish()
        assert store.chunks.load(hashlib.sha256(DATA).digest()) == encoded

    check()
    assert leftovers(store) == [hashlib.sha256(DATA).hexdigest()]


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_crc_is_repaired(store: SparseDatastore, form: str) -> None:
    encoded = bytearray(FORMS[form])
    encoded[8:12] = b"\0\0\0\0"
    upload = begin(store, announced(FORMS[form]))
    feed(upload, bytes(encoded))
    inserted = upload.finish()
    assert (inserted.stored_bytes, inserted.existed) == (len(encoded), False)
    assert store.chunks.load(hashlib.sha256(DATA).digest()) == FORMS[form]


WRONG: dict[str, tuple[bytes, Announced, type[PlatevaultError]]] = {
    "another digest": (FORMS["plain"], Announced(bytes(32), len(DATA), len(FORMS["plain"])), WrongDigest),
    "another digest, zstd": (FORMS["zstd"], Announced(bytes(32), len(DATA), len(FORMS["zstd"])), WrongDigest),
    "longer data": (FORMS["plain"], Announced(hashlib.sha256(DATA).digest(), len(DATA) - 1, len(FORMS["plain"])), WrongDigest),
    "shorter data, zstd": (FORMS["zstd"], Announced(hashlib.sha256(DATA).digest(), len(DATA) + 1, len(FORMS["zstd"])), WrongDigest),
    "bomb": (FORMS["zstd"], Announced(hashlib.sha256(DATA).digest(), 100, len(FORMS["zstd"])), Corrupt),
    "longer body": (FORMS["plain"] + b"x", announced(FORMS["plain"]), WrongLength),
    "shorter body": (FORMS["plain"][:-1], announced(FORMS["plain"]), WrongLength),
    "shorter body, zstd": (FORMS["zstd"][:-1], announced(FORMS["zstd"]), WrongLength),
    "no body": (b"", announced(FORMS["plain"]), WrongLength),
    "unknown magic": (b"GARBAGE!" + FORMS["plain"][8:], announced(FORMS["plain"]), Corrupt),
    "no zstd": (sealed(BlobKind.ZSTD, b"rubbish" * 9), announced(sealed(BlobKind.ZSTD, b"rubbish" * 9)), Corrupt),
    "cut zstd": (FORMS["zstd"][:-5], announced(FORMS["zstd"][:-5]), Corrupt),
    "shorter than its header": (FORMS["encrypted"][:43], announced(FORMS["encrypted"][:43]), Corrupt),
}


@pytest.mark.parametrize("room", [None, 0], ids=["in memory", "in a temp file"])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_leaves_nothing(store: SparseDatastore, case: str, room: int | None) -> None:
    encoded, about, error = WRONG[case]
    memory = BodyMemory(1000) if room is None else BodyMemory(room)
    before = descriptors()
    upload = begin(store, about, memory)
    with pytest.raises(error):
        send(upload, encoded)
    assert leftovers(store) == []
    assert descriptors() == before
    assert memory.take(1000) == (room is None)


@pytest.mark.parametrize("room", [None, 0], ids=["in memory", "in a temp file"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("until", [0, 5, 30, 60])
def test_an_upload_that_breaks_off_leaves_nothing(store: SparseDatastore, form: str, until: int, room: int | None) -> None:
    memory = BodyMemory(10_000) if room is None else BodyMemory(room)
    before = descriptors()
    upload = begin(store, announced(FORMS[form]), memory)
    upload.feed(memoryview(FORMS[form])[:until])
    upload.abort()
    upload.abort()
    assert (leftovers(store), descriptors()) == ([], before)
    assert memory.take(10_000) == (room is None)


@given(st.binary(max_size=80), st.integers(1, 100), st.integers(13, 100))
def test_only_our_errors(body: bytes, size: int, encoded_bytes: int) -> None:
    upload = ChunkUpload(cast(ChunkStore, NoChunks()), Announced(bytes(32), size, encoded_bytes), BodyMemory(50))
    with pytest.raises((Invalid, Corrupt, Unavailable)):
        send(upload, body)


class NoChunks:
    """A chunk store in which nothing is and into which nothing can be written."""

    def stored_bytes(self, digest: bytes) -> None:
        return None

    def touch(self, digest: bytes) -> bool:
        return False

    def __getattr__(self, name: str) -> object:
        def refuse(*args: object, **options: object) -> object:
            raise Unavailable("no chunks here")

        return refuse


# --- chunks that exist ---


def insert(store: SparseDatastore, form: str) -> tuple[int, bool]:
    upload = begin(store, announced(FORMS[form]))
    feed(upload, FORMS[form], [20])
    inserted = upload.finish()
    return inserted.stored_bytes, inserted.existed


def test_an_existing_chunk_is_only_checked(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    for form in ("plain", "encrypted"):
        assert insert(store, form) == (len(FORMS[form]), False)
        chunk = chunk_file(store)
        inode = chunk.stat().st_ino
        with monkeypatch.context() as patched:
            patched.setattr(type(store.chunks), "begin", None)
            assert insert(store, form) == (len(FORMS[form]), True)
        assert chunk.stat().st_ino == inode
        chunk.unlink()


def test_the_body_for_an_existing_chunk_must_be_right_all_the_same(store: SparseDatastore) -> None:
    insert(store, "plain")
    upload = begin(store, announced(FORMS["plain"]))
    with pytest.raises(WrongDigest):
        send(upload, FORMS["plain"][:-1] + b"?")
    assert store.chunks.load(hashlib.sha256(DATA).digest()) == FORMS["plain"]


def test_an_existing_chunk_is_marked_as_used_at_once(store: SparseDatastore) -> None:
    """Garbage collection may run between the first byte and the last."""
    insert(store, "plain")
    digest = hashlib.sha256(DATA).digest()
    store.chunks.age(digest, seconds=1_000_000)
    aged = store.chunks.times(digest)
    upload = begin(store, announced(FORMS["plain"]))
    touched = store.chunks.times(digest)
    assert aged is not None
    assert touched is not None
    assert touched.used > aged.used + 900_000
    upload.abort()


def test_a_chunk_that_vanishes_meanwhile_is_not_taken_for_stored(store: SparseDatastore) -> None:
    insert(store, "plain")
    upload = begin(store, announced(FORMS["plain"]))
    feed(upload, FORMS["plain"])
    store.chunks.mark_bad(hashlib.sha256(DATA).digest(), is_bad=lambda raw: True)
    with pytest.raises(ChunkVanished, match="send it again"):
        upload.finish()
    assert insert(store, "plain") == (len(FORMS["plain"]), False)


@pytest.mark.parametrize(
    ("stored", "incoming", "expected"),
    [
        ("plain", "zstd", (len(FORMS["zstd"]), False)),
        ("zstd", "plain", (len(FORMS["zstd"]), True)),
        ("zstd", "zstd", (len(FORMS["zstd"]), True)),
        ("encrypted", "encrypted zstd", (len(FORMS["encrypted"]), True)),
        ("encrypted zstd", "encrypted", (len(FORMS["encrypted zstd"]), True)),
        ("encrypted", "plain", (len(FORMS["plain"]), False)),
    ],
)
def test_the_smaller_form_wins(store: SparseDatastore, stored: str, incoming: str, expected: tuple[int, bool]) -> None:
    insert(store, stored)
    assert insert(store, incoming) == expected
    assert len(leftovers(store)) == 1


def test_an_encrypted_chunk_never_takes_the_place_of_a_plain_one(store: SparseDatastore) -> None:
    insert(store, "zstd")
    with pytest.raises(Conflict):
        insert(store, "encrypted")
    assert store.chunks.load(hashlib.sha256(DATA).digest()) == FORMS["zstd"]
    assert len(leftovers(store)) == 1


def test_an_empty_file_is_overwritten(store: SparseDatastore) -> None:
    insert(store, "plain")
    chunk_file(store).write_bytes(b"")
    assert insert(store, "plain") == (len(FORMS["plain"]), False)


def test_a_disk_that_fails_in_the_middle(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(store, announced(FORMS["plain"]))
    feed(upload, FORMS["plain"][:100])

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Unavailable, match="No space left"):
        upload.feed(memoryview(FORMS["plain"])[100:])
    assert leftovers(store) == []


def test_memory_has_a_bound() -> None:
    memory = BodyMemory(10)
    assert [memory.take(6), memory.take(5), memory.take(4), memory.take(1)] == [True, False, True, False]
    memory.give(6)
    assert memory.take(6)


def test_headers_are_made_of_what_came() -> None:
    assert blob.header(BlobKind.ENCRYPTED, 1, IV_TAG[:16], IV_TAG[16:])[12:] == IV_TAG
