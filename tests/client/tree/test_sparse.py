"""Writing with holes gives the same content, and no blocks for zeros."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platevault.client.tree.sparse import BLOCK_BYTES, write_with_holes

runs = st.lists(st.tuples(st.booleans(), st.integers(1, 3 * BLOCK_BYTES)), max_size=8)


@given(runs, st.integers(1, 5 * BLOCK_BYTES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_content_is_the_same(tmp_path: Path, runs: list[tuple[bool, int]], piece: int) -> None:
    data = b"".join(b"x" * size if filled else bytes(size) for filled, size in runs)
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        for start in range(0, len(data), piece):
            write_with_holes(file.fileno(), memoryview(data)[start : start + piece], start)
        os.ftruncate(file.fileno(), len(data))
    assert path.read_bytes() == data


def test_zeros_take_no_room(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        os.ftruncate(file.fileno(), 1)
        if os.fstat(file.fileno()).st_blocks > 1:
            pytest.skip("no holes in files here")
        write_with_holes(file.fileno(), memoryview(bytes(100 * BLOCK_BYTES) + b"x" + bytes(100 * BLOCK_BYTES)), BLOCK_BYTES)
        os.ftruncate(file.fileno(), 202 * BLOCK_BYTES)
        assert os.fstat(file.fileno()).st_blocks * 512 <= 4 * BLOCK_BYTES
