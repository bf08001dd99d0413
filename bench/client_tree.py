"""Our own client with a directory of small files: first backup, the same unchanged, and the restore."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench import data
from bench.clients import newest_snapshot, platevault
from bench.figure import Row, Scale
from bench.process import Usage


def measure(scale: Scale) -> list[Row]:
    tree = data.tree(scale)
    files, size = data.size_of(tree)
    rows = [_row(f"first backup, {files} files", _backup(tree), size, "<= 3.5 s for 60,000 files")]
    time.sleep(1.1)
    rows.append(_row("the same unchanged", _backup(tree), size, "<= 1.5 s with change detection by metadata"))
    with tempfile.TemporaryDirectory(dir=scale.data) as scratch:
        target = str(Path(scratch) / "tree")
        usage = platevault("restore", newest_snapshot("host/bench-tree"), "tree.pxar", target)
        rows.append(_row("restore", usage, size, "<= 7 s for 60,000 files"))
        restored = data.size_of(Path(target))
        if restored != (files, size):
            raise RuntimeError(f"restored {restored} instead of {(files, size)} files and bytes")
    return rows


def _backup(tree: Path) -> Usage:
    return platevault("backup", f"tree.pxar:{tree}", "--backup-type", "host", "--backup-id", "bench-tree")


def _row(what: str, usage: Usage, size: int, goal: str) -> Row:
    return Row(what, usage.wall_s, size, usage.server_cpu_s, usage.client_cpu_s, usage.server_peak_mib, usage.client_peak_mib, goal)
