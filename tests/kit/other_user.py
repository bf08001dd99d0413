"""Run a part of a test as an ordinary user."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run as an ordinary user. Skips the test when we are one already, and cannot become another."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def reachable_place() -> Iterator[Path]:
    """A directory that an ordinary user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="platevault-") as name:
        os.chmod(name, 0o777)
        yield Path(name)
