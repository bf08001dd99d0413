"""A server of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.session_server import SessionServer, session_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SessionServer]:
    with session_server(tmp_path) as running:
        yield running
