"""What cannot be done is one line that says what, on what and why, and a status of its own; and nothing was changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.live_client import LiveClient
from kit.live_server import LiveServer


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "disk").write_bytes(b"content" * 1000)
    return tmp_path / "disk"


@pytest.fixture
def unchanged(server: LiveServer) -> Iterator[None]:
    before = server.snapshots()
    yield
    assert server.snapshots() == before


def commands(image: Path) -> list[tuple[str, ...]]:
    """One that uses REST, one that writes, one that reads."""
    return [("snapshots",), ("backup", f"disk.img:{image}"), ("restore", "host/x/2023-11-14T22:13:20Z", "disk.img", "-")]


def expect(client: LiveClient, words: tuple[str, ...], status: int, text: str, **environment: str | None) -> None:
    outcome = client(*words, **environment)
    assert (outcome.status, outcome.raw) == (status, b"")
    assert text in outcome.error
    assert outcome.error.startswith("error: ")


@pytest.mark.usefixtures("unchanged")
def test_wrong_fingerprint(client: LiveClient, image: Path) -> None:
    for words in commands(image):
        expect(client, words, 3, "another fingerprint than expected: " + client.server.fingerprint, PBS_FINGERPRINT="ab" * 32)


@pytest.mark.usefixtures("unchanged")
def test_unknown_certificate_without_a_terminal(client: LiveClient, image: Path) -> None:
    for words in commands(image):
        expect(client, words, 3, "is not trusted", PBS_FINGERPRINT=None)


@pytest.mark.usefixtures("unchanged")
def test_wrong_password_and_wrong_secret(client: LiveClient, server: LiveServer, image: Path) -> None:
    user = f"admin@pbs@127.0.0.1:{server.port}:main"
    for words in commands(image):
        expect(client, words, 3, "the server answered 401", PBS_PASSWORD="wrong")
        expect(
            client,
            words,
            3,
            f"login of admin@pbs at 127.0.0.1:{server.port}: the server answered 401",
            PBS_REPOSITORY=user,
            PBS_PASSWORD="no",
        )
        expect(client, words, 3, "no password for", PBS_PASSWORD=None)


@pytest.mark.usefixtures("unchanged")
def test_expired_and_disabled_token(client: LiveClient, server: LiveServer, image: Path) -> None:
    for number, (name, value) in enumerate((("expire", 1_600_000_000), ("enable", "false"))):
        made = server.rest("POST", f"access/users/admin@pbs/token/old{number}", **{name: value})
        repository = f"{made['tokenid']}@127.0.0.1:{server.port}:main"
        for words in commands(image):
            expect(client, words, 3, "the server answered 401", PBS_REPOSITORY=repository, PBS_PASSWORD=made["value"])


@pytest.mark.usefixtures("unchanged")
def test_missing_privilege(client: LiveClient, server: LiveServer, image: Path) -> None:
    made = server.rest("POST", "access/users/admin@pbs/token/weak")
    weak = {"PBS_REPOSITORY": f"{made['tokenid']}@127.0.0.1:{server.port}:main", "PBS_PASSWORD": made["value"]}
    statuses = [client(*words, **weak) for words in commands(image)]
    assert [outcome.status for outcome in statuses] == [3, 3, 2]
    assert [outcome.error.partition(":")[0] for outcome in statuses] == ["error"] * 3


@pytest.mark.usefixtures("unchanged")
def test_unknown_datastore(client: LiveClient, server: LiveServer, image: Path) -> None:
    for words in commands(image):
        outcome = client(*words, PBS_REPOSITORY=f"{server.token_id}@127.0.0.1:{server.port}:nowhere")
        assert outcome.status in (2, 4)
        assert "nowhere" in outcome.error


@pytest.mark.usefixtures("unchanged")
def test_unknown_namespace_snapshot_group_and_archive(client: LiveClient, image: Path) -> None:
    expect(client, ("backup", f"disk.img:{image}", "--ns", "no/where"), 4, "the server answered 404")
    for words in (("restore", "host/missing", "disk.img", "-"), ("files", "host/missing")):
        expect(client, words, 4, "host/missing has no finished snapshot")
    expect(client, ("restore", "host/missing/2023-11-14T22:13:20Z", "disk.img", "-"), 2, "the server answered 400")


def test_a_time_that_is_not_newer(client: LiveClient, server: LiveServer, image: Path) -> None:
    words = ("backup", f"disk.img:{image}", "--backup-id", "late", "--backup-time")
    client.good(*words, "1700000000")
    before = server.snapshots()
    for time in ("1700000000", "1600000000"):
        expect(client, (*words, time), 2, "starting a backup session")
    assert server.snapshots() == before


@pytest.mark.usefixtures("unchanged")
def test_no_server(client: LiveClient, image: Path) -> None:
    for words in commands(image):
        expect(client, words, 7, "127.0.0.1 port 1: ", PBS_REPOSITORY=f"{client.server.token_id}@127.0.0.1:1:main")


@pytest.mark.usefixtures("unchanged")
def test_sources_and_targets(client: LiveClient, image: Path, tmp_path: Path) -> None:
    for spec in ("disk.img:/no/such/file", "tree.pxar:/no/such/dir", "x.conf:/no/such/conf"):
        expect(client, ("backup", spec), 4, "does not exist")
    (tmp_path / "empty").touch()
    expect(client, ("backup", f"disk.img:{tmp_path / 'empty'}"), 2, "is empty")
    expect(client, ("backup", f"disk.img:{tmp_path}"), 2, "no file and no block device")
    expect(client, ("backup", f"disk.tar:{image}"), 2, "names no archive")


@pytest.fixture
def small_store(server: LiveServer, tmp_path: Path) -> Iterator[str]:
    """A datastore on a disk of 30 MB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root to be mounted")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        server.admin("datastore", "create", "small", str(place / "store"))
        yield "small"
    finally:
        server.rest("DELETE", "config/datastore/small")
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_refuses_cleanly_and_is_usable_after(client: LiveClient, server: LiveServer, small_store: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(60_000_000))
    (tmp_path / "little").write_bytes(os.urandom(2_000_000))
    repository = f"{server.token_id}@127.0.0.1:{server.port}:{small_store}"
    refused = client("backup", f"disk.img:{tmp_path / 'large'}", "--backup-id", "full", PBS_REPOSITORY=repository)
    assert refused.status in (2, 7)
    assert "No space left" in refused.error
    server.until_idle()
    assert client.good("snapshots", "--output", "json", PBS_REPOSITORY=repository).json == []
    store = tmp_path / "small" / "store"
    for chunk in store.glob(".chunks/*/*"):
        chunk.unlink()  # as a garbage collection does, a day later
    client.good("backup", f"disk.img:{tmp_path / 'little'}", "--backup-id", "full", PBS_REPOSITORY=repository)
    restored = client.good("restore", "host/full", "disk.img", "-", PBS_REPOSITORY=repository)
    assert restored.raw == (tmp_path / "little").read_bytes()
