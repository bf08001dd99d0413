"""A listener with an application that echoes, under both event loops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.certificate import write_certificate
from kit.echo_app import EchoApp
from kit.https_server import HttpsServer, https_server


@pytest.fixture(params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpsServer]:
    app = EchoApp()
    with https_server(app, *write_certificate(tmp_path)[:2], loop=request.param) as running:
        yield running
    for thread in app.threads:
        thread.join(10)
