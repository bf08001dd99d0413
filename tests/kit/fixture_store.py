"""The recorded datastore of a real server, unpacked once a test run; see vectors/store-small/ORIGIN.md."""

from __future__ import annotations

import fcntl
import json
import shutil
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

VECTORS = Path(__file__).parents[1] / "vectors" / "store-small"
KEYS = VECTORS / "keys"
NAME = "fix-store"


@cache
def expected() -> dict[str, Any]:
    """What the real server said about the store."""
    content: dict[str, Any] = json.loads((VECTORS / "expected.json").read_text())
    return content


def unpacked(shared: Path) -> Path:
    """A directory that holds the store under NAME, without its 65000 empty chunk directories. For reading only.

    shared: a directory that all processes of the test run see; the first one unpacks.
    """
    target = shared / "fixture-store"
    with (shared / "fixture-store.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _unpack(target)
            (target / "complete").touch()
    return target


def _unpack(target: Path) -> None:
    with (
        (VECTORS / "store.tar.zst").open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        for member in archive:
            if not (member.isdir() and Path(member.name).parent.name == ".chunks"):
                member.mode |= 0o700 if member.isdir() else 0o600
                archive.extract(member, target, filter="data")


def copied(shared: Path, target: Path) -> Path:
    """A copy of the store that the test may change; the directory that holds it."""
    shutil.copytree(unpacked(shared) / NAME, target / NAME, symlinks=True)
    return target
