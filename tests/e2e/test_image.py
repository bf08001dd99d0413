"""An image goes in over the protocol and comes back byte for byte, the second time with almost nothing sent."""

from __future__ import annotations

import json
import os
import pty
import random
import subprocess
from pathlib import Path

import pytest

from kit.live_client import LiveClient
from kit.live_server import PROGRAM, TIMEOUT_S, LiveServer

BLOCK = 4 * 1024 * 1024
MIB = 1024 * 1024


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Noise, zeros, text, a hole, and a short end."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.write(random.Random(1).randbytes(3 * BLOCK) + bytes(BLOCK) + b"some text\n" * 500_000)
        file.truncate(12 * BLOCK)
        file.seek(12 * BLOCK)
        file.write(b"the end")
    return path


def back_up(client: LiveClient, image: Path, group: str, time: int, *options: str) -> dict[str, int]:
    """Figures of the image."""
    words = ("backup", f"disk.img:{image}", "--backup-id", group, "--backup-time", str(time), "--output", "json")
    report = client.good(*words, *options).json
    assert report["snapshot"].startswith(f"host/{group}/")
    (figures,) = report["files"]
    assert isinstance(figures, dict)
    return figures


def test_two_snapshots_of_an_image(client: LiveClient, image: Path, tmp_path: Path) -> None:
    first = back_up(client, image, "image", 1_700_000_000)
    content = image.read_bytes()
    with image.open("r+b") as file:
        file.seek(BLOCK + 100)
        file.write(b"changed")
    second = back_up(client, image, "image", 1_700_003_600)
    assert (first["chunks"], second["chunks"]) == (13, 13)
    assert first["sent"] > 12 * MIB
    assert second["uploaded-chunks"] == 1
    assert second["sent"] <= BLOCK + 44
    for time, expected in (("2023-11-14T22:13:20Z", content), ("2023-11-14T23:13:20Z", image.read_bytes())):
        client.good("restore", f"host/image/{time}", "disk.img", str(tmp_path / time))
        assert (tmp_path / time).read_bytes() == expected
        assert (tmp_path / time).stat().st_blocks * 512 < 7 * BLOCK
    assert client.good("restore", "host/image", "disk.img", "-").raw == image.read_bytes()


def test_what_the_listing_commands_say(client: LiveClient, image: Path) -> None:
    back_up(client, image, "listed", 1_700_000_000)
    group = next(item for item in client.good("list", "--output", "json").json if item["backup-id"] == "listed")
    assert (group["backup-count"], group["last-backup"], group["owner"]) == (1, 1_700_000_000, client.server.token_id)
    (snapshot,) = client.good("snapshots", "host/listed", "--output", "json").json
    assert snapshot["size"] > image.stat().st_size
    assert client.good("files", "host/listed").raw.decode().split("\t")[0] == "disk.img.fidx"
    names = [file["filename"] for file in client.good("files", "host/listed", "--output", "json").json]
    assert names == ["disk.img.fidx", "index.json.blob"]
    assert client.good("status", "--output", "json").json["total"] > 0


def test_prune_and_forget(client: LiveClient, image: Path) -> None:
    for hour in range(4):
        back_up(client, image, "pruned", 1_700_000_000 + 3600 * hour)
    dry = client.good("prune", "host/pruned", "--keep-last", "2", "--dry-run").raw.decode()
    assert [line.split("\t")[1] for line in dry.splitlines()].count("remove") == 2
    assert len(client.good("snapshots", "host/pruned", "--output", "json").json) == 4
    client.good("prune", "host/pruned", "--keep-last", "2")
    client.good("forget", "host/pruned/2023-11-15T01:13:20Z")
    (left,) = client.good("snapshots", "host/pruned", "--output", "json").json
    assert left["backup-time"] == 1_700_000_000 + 2 * 3600
    client.good("restore", "host/pruned", "disk.img", "-")


def test_a_namespace_is_a_place_of_its_own(server: LiveServer, client: LiveClient, image: Path) -> None:
    server.rest("POST", "admin/datastore/main/namespace", name="office")
    back_up(client, image, "named", 1_700_000_000, "--ns", "office")
    assert client.good("snapshots", "host/named", "--output", "json").json == []
    assert len(client.good("snapshots", "host/named", "--output", "json", PBS_NAMESPACE="office").json) == 1
    assert client.good("restore", "host/named", "disk.img", "-", "--ns", "office").raw == image.read_bytes()


def test_small_files_and_the_manifest_come_back(client: LiveClient, tmp_path: Path) -> None:
    (tmp_path / "conf").write_bytes(b"key: value\n\x00\xff")
    client.good("backup", f"vm.conf:{tmp_path / 'conf'}", f"run.log:{tmp_path / 'conf'}", "--backup-id", "small", "--backup-type", "vm")
    assert client.good("restore", "vm/small", "vm.conf", "-").raw == b"key: value\n\x00\xff"
    assert b'"filename": "run.log.blob"' in client.good("restore", "vm/small", "index.json", "-").raw


def test_a_password_login_is_cached_until_logout(client: LiveClient, server: LiveServer) -> None:
    user = {"PBS_REPOSITORY": f"admin@pbs@127.0.0.1:{server.port}:main"}
    client.good("login", **user, PBS_PASSWORD="correct horse")
    assert client.good("list", "--output", "json", **user, PBS_PASSWORD=None).json is not None
    client.good("logout", **user, PBS_PASSWORD=None)
    assert "no password" in client("list", **user, PBS_PASSWORD=None).error


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_is_drawn_on_a_terminal_and_nowhere_else(client: LiveClient, image: Path, quiet: bool) -> None:
    words = ["backup", f"disk.img:{image}", "--backup-id", f"drawn-{quiet}", "--output", "json", *(["--quiet"] if quiet else [])]
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, *words], env=client.environment | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        drawn = read_terminal(ours)
        out, _ = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 0, drawn
    assert json.loads(out)["files"][0]["filename"] == "disk.img.fidx"
    assert (b"disk.img.fidx" in drawn, b"/s" in drawn) == (not quiet, not quiet)
    assert client.good("backup", f"disk.img:{image}", "--backup-id", f"pipe-{quiet}").err == ""


def read_terminal(descriptor: int) -> bytes:
    """All that is written to a terminal until its last user has gone."""
    received = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how Linux says that nobody has the other side open any more
            piece = b""
        if not piece:
            os.close(descriptor)
            return received
        received += piece
