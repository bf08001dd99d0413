"""One server process for all tests of this directory, which each use a group of their own; and the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.live_client import Gate, LiveClient
from kit.live_server import LiveServer
from kit.scratch import scratch_directory


@pytest.fixture(scope="session")
def one_server() -> Iterator[LiveServer]:
    with scratch_directory() as where:
        server = LiveServer(where)
        server.init()
        yield server
        server.stop()


@pytest.fixture
def server(one_server: LiveServer) -> LiveServer:
    """Running, also when the test before has ended it."""
    if one_server.process is None:
        one_server.start()
    return one_server


@pytest.fixture
def client(server: LiveServer, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> LiveClient:
    home = tmp_path / "home"
    home.mkdir()
    return LiveClient(server, home, capsysbinary)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()
