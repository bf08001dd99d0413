"""A real server with something in it, for programs that we did not write."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.live_server import PROGRAM, STORE, TIMEOUT_S, LiveServer
from kit.scratch import scratch_directory

TIMES = (1_700_000_000, 1_700_003_600)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Two snapshots of `host/elsa`, one of the same group in namespace `office`, and the tasks that wrote them."""
    home = tmp_path_factory.mktemp("home")
    (home / "disk").write_bytes(hashlib.shake_128(b"disk").digest(5_000_000))
    with scratch_directory() as where:
        server = LiveServer(where)
        server.init()
        server.start()
        try:
            server.rest("POST", f"admin/datastore/{STORE}/namespace", name="office")
            for time, namespace in ((TIMES[0], ""), (TIMES[1], ""), (TIMES[0], "office")):
                back_up(server, home, time, namespace)
            server.until_idle()
            yield server
        finally:
            server.stop()


def back_up(server: LiveServer, home: Path, time: int, namespace: str) -> None:
    environment = {
        "HOME": str(home),
        "PBS_REPOSITORY": f"{server.token_id}@127.0.0.1:{server.port}:{STORE}",
        "PBS_PASSWORD": server.token,
        "PBS_FINGERPRINT": server.fingerprint,
    }
    words = ["backup", f"disk.img:{home / 'disk'}", "--backup-id", "elsa", "--backup-time", str(time), "--ns", namespace]
    subprocess.run([PROGRAM, *words], env=environment, check=True, timeout=TIMEOUT_S, capture_output=True)


@pytest.fixture
def authority(server: LiveServer) -> str:
    """File of the server's own certificate, which clients take for an authority."""
    return str(server.where / "state" / "proxy.pem")
