"""What may be appended to an index and how it is closed (spec wire-protocol §3.5, §3.7, §3.8)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Conflict, Unavailable
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.formats.names import ROOT
from platevault.services.backup_writers import DynamicArchive, FixedArchive, TakenName, WriterRefused

A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))
NAME = snapshot()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SparseDatastore]:
    made = sparse_store(tmp_path)
    made.create_group(ROOT, NAME.group, "root@pam")
    with made.create_snapshot(ROOT, NAME):
        yield made
    made.close()


def dynamic(store: SparseDatastore) -> DynamicArchive:
    return DynamicArchive(1, store.create_dynamic_index(ROOT, NAME, "a.didx"))


def fixed(store: SparseDatastore, size: int | None, base: FixedIndex | None = None) -> FixedArchive:
    file = store.create_fixed_index(ROOT, NAME, "d.fidx", size=size, base=base)
    return FixedArchive(1, file, size=size, incremental=base is not None)


def dynamic_csum(*entries: tuple[bytes, int]) -> bytes:
    end, data = 0, b""
    for digest, size in entries:
        end += size
        data += struct.pack("<Q", end) + digest
    return hashlib.sha256(data).digest()


def fixed_csum(*digests: bytes) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()


def files(store: SparseDatastore) -> list[str]:
    assert store.path is not None
    return sorted(path.name for path in (store.path / str(NAME)).iterdir())


# --- dynamic ---


def test_a_dynamic_archive(store: SparseDatastore) -> None:
    archive = dynamic(store)
    archive.append(0, A, 10)
    archive.append(10, B, 5)
    assert files(store) == ["a.tmp_didx"]
    archive.close(2, 15, dynamic_csum((A, 10), (B, 5)))
    assert files(store) == ["a.didx"]
    assert (archive.size, archive.count) == (15, 2)


@pytest.mark.parametrize("offset", [0, 9, 11])
def test_dynamic_entries_follow_each_other(store: SparseDatastore, offset: int) -> None:
    archive = dynamic(store)
    archive.append(0, A, 10)
    with pytest.raises(WriterRefused, match="is not the end 10"):
        archive.append(offset, B, 5)
    archive.append(10, B, 5)
    archive.close(2, 15, dynamic_csum((A, 10), (B, 5)))


def test_an_archive_has_a_largest_size(store: SparseDatastore) -> None:
    archive = dynamic(store)
    archive.append(0, A, 2**63 - 1)
    with pytest.raises(WriterRefused, match="impossible"):
        archive.append(2**63 - 1, B, 1)
    archive.drop()


@pytest.mark.parametrize(("count", "size"), [(1, 15), (3, 15), (2, 14), (2, 16)])
def test_a_wrong_count_or_size_can_be_mended(store: SparseDatastore, count: int, size: int) -> None:
    archive = dynamic(store)
    archive.append(0, A, 10)
    archive.append(10, B, 5)
    csum = dynamic_csum((A, 10), (B, 5))
    with pytest.raises(WriterRefused):
        archive.close(count, size, csum)
    archive.close(2, 15, csum)


def test_a_wrong_checksum_cannot(store: SparseDatastore) -> None:
    archive = dynamic(store)
    archive.append(0, A, 10)
    with pytest.raises(WriterRefused, match="checksum"):
        archive.close(1, 10, bytes(32))
    assert files(store) == []
    with pytest.raises(WriterRefused, match="closed with an error"):
        archive.close(1, 10, dynamic_csum((A, 10)))
    with pytest.raises(WriterRefused, match="closed with an error"):
        archive.append(10, B, 5)
    archive.drop()


# --- fixed ---


def test_an_image_in_any_order(store: SparseDatastore) -> None:
    archive = fixed(store, 2 * CHUNK_BYTES + 5)
    for number, digest, size in ((2, C, 5), (0, A, CHUNK_BYTES), (1, B, CHUNK_BYTES)):
        archive.append(number * CHUNK_BYTES, digest, size)
    archive.close(3, 2 * CHUNK_BYTES + 5, fixed_csum(A, B, C))
    assert files(store) == ["d.fidx"]


@pytest.mark.parametrize(
    ("offset", "size"),
    [(1, CHUNK_BYTES), (2 * CHUNK_BYTES, CHUNK_BYTES), (0, 5), (CHUNK_BYTES, 6), (CHUNK_BYTES + 1, 4), (2**62, 5), (0, CHUNK_BYTES + 5)],
)
def test_chunks_that_do_not_fit_an_image(store: SparseDatastore, offset: int, size: int) -> None:
    archive = fixed(store, CHUNK_BYTES + 5)
    with pytest.raises(WriterRefused):
        archive.append(offset, A, size)
    assert archive.count == 0


def test_an_image_with_a_hole_is_refused_whatever_its_checksum(store: SparseDatastore) -> None:
    """As many chunks as blocks, but one block twice: the hole would name a chunk of zeros that does not exist."""
    archive = fixed(store, 2 * CHUNK_BYTES)
    archive.append(0, A, CHUNK_BYTES)
    archive.append(0, B, CHUNK_BYTES)
    with pytest.raises(WriterRefused, match="do not make 2 blocks"):
        archive.close(2, 2 * CHUNK_BYTES, fixed_csum(B, bytes(32)))
    assert files(store) == ["d.tmp_fidx"]


def test_an_image_without_chunks_is_refused(store: SparseDatastore) -> None:
    archive = fixed(store, None)
    with pytest.raises(WriterRefused):
        archive.close(0, 0, fixed_csum())


def test_an_image_of_unknown_size_ends_with_its_short_chunk(store: SparseDatastore) -> None:
    archive = fixed(store, None)
    archive.append(CHUNK_BYTES, B, CHUNK_BYTES)
    archive.append(0, A, CHUNK_BYTES)
    with pytest.raises(WriterRefused):
        archive.append(0, C, 7)
    archive.append(2 * CHUNK_BYTES, C, 7)
    with pytest.raises(WriterRefused, match="ends behind the image"):
        archive.append(3 * CHUNK_BYTES, A, CHUNK_BYTES)
    archive.close(3, 2 * CHUNK_BYTES + 7, fixed_csum(A, B, C))


def test_an_incremental_image_counts_what_was_appended_now(store: SparseDatastore) -> None:
    first = fixed(store, 2 * CHUNK_BYTES)
    first.append(0, A, CHUNK_BYTES)
    first.append(CHUNK_BYTES, B, CHUNK_BYTES)
    first.close(2, 2 * CHUNK_BYTES, fixed_csum(A, B))
    base = store.open_index(ROOT, NAME, "d.fidx")
    assert isinstance(base, FixedIndex)
    second = fixed(store, 2 * CHUNK_BYTES, base)
    second.append(CHUNK_BYTES, C, CHUNK_BYTES)
    with pytest.raises(WriterRefused, match="1 chunks were appended"):
        second.close(2, 2 * CHUNK_BYTES, fixed_csum(A, C))
    second.close(1, 987654321, fixed_csum(A, C))
    nothing = fixed(store, 2 * CHUNK_BYTES, base)
    nothing.close(0, 0, fixed_csum(A, B))


def test_one_short_upload_an_image(store: SparseDatastore) -> None:
    archive = fixed(store, 100)
    archive.accept(CHUNK_BYTES)  # QEMU uploads a chunk of zeros for every image
    archive.accept(100)
    for size in (100, CHUNK_BYTES + 1):
        with pytest.raises(WriterRefused):
            archive.accept(size)


# --- both ---


def test_what_could_not_be_written_breaks_the_writer(store: SparseDatastore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may hold half of what it should, so no close may follow."""

    def fail(self: object, *args: object) -> None:
        raise Unavailable("disk full")

    archive = dynamic(store)
    monkeypatch.setattr("platevault.store.filesystem.index_writers.DynamicIndexFile.append", fail)
    with pytest.raises(Unavailable):
        archive.append(0, A, 10)
    monkeypatch.undo()
    with pytest.raises(WriterRefused, match="closed with an error"):
        archive.append(0, A, 10)
    assert files(store) == []


def test_a_taken_name_can_be_written_but_never_closed() -> None:
    archive = DynamicArchive(2, TakenName("a.didx"))
    archive.append(0, A, 10)
    with pytest.raises(Conflict, match="another writer"):
        archive.close(1, 10, dynamic_csum((A, 10)))
    image = FixedArchive(3, TakenName("d.fidx"), size=CHUNK_BYTES, incremental=False)
    image.append(0, A, CHUNK_BYTES)
    with pytest.raises(Conflict, match="another writer"):
        image.close(1, CHUNK_BYTES, fixed_csum(A))
    image.drop()


def test_positions_far_apart_take_little_memory(store: SparseDatastore) -> None:
    archive = fixed(store, 2**46)
    for number in (0, 1, 2**24 - 1):
        archive.append(number * CHUNK_BYTES, A, CHUNK_BYTES)
    assert archive._written.count == 3
    archive.drop()
