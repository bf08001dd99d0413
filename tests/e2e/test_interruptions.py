"""What ends in the middle: server, client, connection. Nothing half is ever listed, and the next backup is fine."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from kit.live_client import Gate, LiveClient, RunningClient
from kit.live_server import LiveServer

CONTENT = random.Random(7).randbytes(9_000_000)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "disk").write_bytes(CONTENT)
    return tmp_path / "disk"


def begin(client: LiveClient, image: Path, gate: Gate, group: str) -> RunningClient:
    """A backup whose image has been sent and that now waits at the gate."""
    running = client.begin("backup", f"disk.img:{image}", gate.spec, "--backup-id", group)
    gate.wait()
    return running


def files_below(server: LiveServer, group: str) -> list[str]:
    folder = server.store_path / "host" / group
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def assert_next_backup_is_fine(client: LiveClient, server: LiveServer, image: Path, group: str) -> None:
    server.until_idle()
    assert server.snapshots_of(group) == []
    assert [name for name in files_below(server, group) if name != "owner"] == []
    client.good("backup", f"disk.img:{image}", "--backup-id", group)
    assert client.good("restore", f"host/{group}", "disk.img", "-").raw == CONTENT


def test_the_server_is_killed(client: LiveClient, server: LiveServer, image: Path, gate: Gate) -> None:
    running = begin(client, image, gate, "server-killed")
    server.kill()
    gate.open()
    outcome = running.end()
    assert outcome.status == 7
    assert "connection to the server lost" in outcome.error
    server.start()
    client.good("backup", f"disk.img:{image}", "--backup-id", "server-killed")
    assert client.good("restore", "host/server-killed", "disk.img", "-").raw == CONTENT
    time = server.snapshots_of("server-killed")[-1]
    task = server.rest("POST", "admin/datastore/main/verify", backup_type="host", backup_id="server-killed", backup_time=time)
    server.until_idle()
    assert server.rest("GET", f"nodes/localhost/tasks/{task}/status")["exitstatus"] == "OK"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_client_is_ended(client: LiveClient, server: LiveServer, image: Path, gate: Gate, number: signal.Signals) -> None:
    group = f"client-{number.name.lower()}"
    running = begin(client, image, gate, group)
    assert server.snapshots_of(group), "unfinished, and listed as such while it runs"
    running.signal(number)
    outcome = running.end()
    assert outcome.status != 0
    if number is signal.SIGINT:
        assert (outcome.status, outcome.error) == (130, "interrupted")
    assert_next_backup_is_fine(client, server, image, group)


def test_a_second_backup_of_the_same_group_is_refused_at_once(client: LiveClient, server: LiveServer, image: Path, gate: Gate) -> None:
    running = begin(client, image, gate, "busy")
    refused = client("backup", f"disk.img:{image}", "--backup-id", "busy")
    assert refused.status == 2
    assert "starting a backup session" in refused.error
    gate.open()
    first = running.end()
    assert first.status == 0, first.err
    server.until_idle()
    assert len(server.snapshots_of("busy")) == 1
    assert client.good("restore", "host/busy", "gate.conf", "-").raw == b"the gate is open"


def test_backups_of_different_groups_run_side_by_side(client: LiveClient, image: Path, gate: Gate) -> None:
    running = begin(client, image, gate, "one")
    client.good("backup", f"disk.img:{image}", "--backup-id", "other")
    gate.open()
    assert running.end().status == 0
    assert client.good("restore", "host/one", "disk.img", "-").raw == client.good("restore", "host/other", "disk.img", "-").raw == CONTENT


def test_a_stop_lets_a_running_backup_finish(client: LiveClient, server: LiveServer, image: Path, gate: Gate) -> None:
    running = begin(client, image, gate, "stopped")
    server.terminate()
    assert "cannot connect" in client("backup", f"disk.img:{image}", "--backup-id", "late").error
    gate.open()
    outcome = running.end()
    assert outcome.status == 0, outcome.err
    assert server.wait() == 0
    server.start()
    assert client.good("restore", "host/stopped", "disk.img", "-").raw == CONTENT


def test_a_stop_that_waits_no_longer_leaves_a_clean_store(client: LiveClient, server: LiveServer, image: Path, gate: Gate) -> None:
    running = begin(client, image, gate, "dropped")
    server.terminate()
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)  # the second one ends sessions at once
    assert server.wait() == 0
    gate.open()
    outcome = running.end()
    assert outcome.status == 7
    assert "connection to the server lost" in outcome.error
    server.start()
    assert_next_backup_is_fine(client, server, image, "dropped")
