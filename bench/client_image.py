"""Our own client with a disk image: first backup, second with an eighth of the blocks changed, encrypted, and the restore."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench import data, limit
from bench.clients import newest_snapshot, platevault
from bench.figure import Row, Scale
from bench.process import Usage


def measure(scale: Scale) -> list[Row]:
    first, later = data.image(scale)
    size = first.stat().st_size
    rows = limit.measure(scale)
    rows.append(_row("first backup", _backup(first), size, "<= 2.5 s, server <= 1.7 CPU s for 1 GiB"))
    # Snapshots of one group are told apart by their second.
    time.sleep(1.1)
    rows.append(_row("second backup, 14 % of blocks changed", _backup(later), size, "<= 1.3 s for 1 GiB"))
    with tempfile.TemporaryDirectory(dir=scale.data) as scratch:
        key = str(Path(scratch) / "key.json")
        platevault("key", "create", key, "--kdf", "none")
        rows.append(
            _row("first backup, encrypted", _backup(first, "--keyfile", key, group="secret"), size, "server <= 0.6 CPU s for 1 GiB")
        )
        restored = Path(scratch) / "restored.raw"
        usage = platevault("restore", newest_snapshot("host/bench-image"), "disk.img", str(restored))
        rows.append(_row("restore", usage, size, "<= 1.9 s, server <= 0.4 CPU s for 1 GiB"))
        _check_equal(restored, later)
    return rows


def _backup(image: Path, *options: str, group: str = "bench-image") -> Usage:
    return platevault("backup", f"disk.img:{image}", "--backup-type", "host", "--backup-id", group, *options)


def _check_equal(one: Path, other: Path) -> None:
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(1 << 20):
            if block != right.read(1 << 20):
                raise RuntimeError("the restored image differs from the original")
        if right.read(1):
            raise RuntimeError("the restored image is shorter than the original")


def _row(what: str, usage: Usage, size: int, goal: str) -> Row:
    return Row(what, usage.wall_s, size, usage.server_cpu_s, usage.client_cpu_s, usage.server_peak_mib, usage.client_peak_mib, goal)
