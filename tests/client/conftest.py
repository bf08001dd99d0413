"""The server in memory, and images to back up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.memory_server import MemoryServer
from kit.memory_site import MemorySite

OURS = ("append", "chunk-worker", "http2-receive")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[MemorySite]:
    folder = tmp_path / "server"
    folder.mkdir()
    with MemoryServer(folder) as server:
        yield MemorySite(server)
        assert threads_of_ours() == [], "looked at before the server drops what is still open"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever happened, nothing of ours goes on in the background, and so no connection stays open."""
    yield
    assert threads_of_ours() == []


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(OURS)]
