"""A directory for large trees of small files: in memory where the machine has a place for that, which saves minutes on a busy disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 1024**3
ENOUGH_INODES = 200_000


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Removed on leaving."""
    folder = Path(tempfile.mkdtemp(prefix="platevault-test-", dir=MEMORY if has_room(MEMORY) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_room(folder: Path) -> bool:
    """Whether a datastore and some test data fit in."""
    if not os.access(folder, os.W_OK):
        return False
    known = os.statvfs(folder)
    return known.f_bavail * known.f_frsize > ENOUGH_BYTES and known.f_favail > ENOUGH_INODES
