"""Random access to the content under an index."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.backups import Made, backup, pieces, snapshot
from kit.stores import SparseDatastore, sparse_store
from platevault.errors import Corrupt, NotFound
from platevault.formats import blob
from platevault.services.index_file import CACHED_CHUNKS, IndexFile

CHUNKS = (*pieces("a", 3, 100), b"x", *pieces("b", 3, 77))
PLAIN = b"".join(CHUNKS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[SparseDatastore, Made]:
    store = sparse_store(tmp_path_factory.mktemp("index"))
    return store, backup(store, snapshot(), chunks=CHUNKS)


def opened(made: tuple[SparseDatastore, Made]) -> IndexFile:
    store, found = made
    return IndexFile(store, store.open_index(found.ns, found.name, "root.pxar.didx"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.integers(0, len(PLAIN) + 10), st.integers(0, len(PLAIN) + 10)), max_size=10))
def test_any_piece_is_that_of_the_content(made: tuple[SparseDatastore, Made], places: list[tuple[int, int]]) -> None:
    file = opened(made)
    assert file.size == len(PLAIN)
    for offset, size in places:
        assert file.read_at(offset, size) == PLAIN[offset : offset + size]
        assert len(file._cache) <= CACHED_CHUNKS


def test_chunks_that_are_missing_or_of_another_length(tmp_path: Path) -> None:
    store = sparse_store(tmp_path)
    found = backup(store, snapshot(), chunks=CHUNKS)
    index = store.open_index(found.ns, found.name, "root.pxar.didx")
    path = tmp_path / "store" / ".chunks" / found.digests[1].hex()[:4] / found.digests[1].hex()
    path.write_bytes(blob.encode(b"short"))
    with pytest.raises(Corrupt, match="has 5 bytes, the index says 100"):
        IndexFile(store, index).read_at(0, 150)
    path.unlink()
    with pytest.raises(NotFound):
        IndexFile(store, index).read_at(0, 150)
    assert IndexFile(store, index).read_at(0, 100) == CHUNKS[0]
