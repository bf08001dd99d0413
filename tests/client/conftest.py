"""The server in memory, and images to back up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.memory_server import MemoryServer
from kit.memory_site import MemorySite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[MemorySite]:
    folder = tmp_path / "server"
    folder.mkdir()
    with MemoryServer(folder) as server:
        yield MemorySite(server)
