"""Places for trees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.other_user import reachable_place
from kit.recorded_tree import make_removable, make_tree


@pytest.fixture
def recorded_tree(tmp_path: Path) -> Iterator[Path]:
    """The tree that real clients have archived."""
    root = tmp_path / "full"
    root.mkdir()
    try:
        make_tree(root)
        yield root
    finally:
        make_removable(root)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Where to restore to."""
    root = tmp_path / "target"
    yield root
    make_removable(root)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that an ordinary user can reach, which pytest's own are not."""
    with reachable_place() as place:
        yield place
