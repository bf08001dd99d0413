"""Restore a directory from a pxar archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from platevault.client.reader import SnapshotReader
from platevault.client.statistics import Progress
from platevault.client.workers import Workers


def restore_tree(
    reader: SnapshotReader,
    name: str,
    target: Path,
    patterns: tuple[str, ...],
    workers: Workers,
    progress: Progress,
    *,
    overwrite: bool,
    allow_existing_dirs: bool,
    warn: Callable[[str], None],
) -> None:
    raise NotImplementedError
