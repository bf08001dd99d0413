"""Checks of a datastore's directory: there, ours, with room, and with access times that can be set."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from platevault.services.checkup.finding import Finding, error, ok, warning

FULL_SHARE = 0.97
NEARLY_FULL_SHARE = 0.90
LONG_AGO_S = 1_000_000_000  # 2001: a time that no file system invents by itself


def check_datastore(name: str, path: Path) -> Iterator[Finding]:
    """Findings about one directory; the first that makes the others pointless is the last."""
    check = f"datastore {name}"
    chunks = path / ".chunks"
    if not chunks.is_dir():
        advice = f"mount the disk, or remove the datastore: platevault datastore remove {name}"
        yield error(check, f"{path} is not there, or no datastore directory", advice)
        return
    if not os.access(chunks, os.R_OK | os.W_OK | os.X_OK):
        owner = chunks.stat().st_uid
        advice = "run this command and the service as the user that owns the directory, or change its owner"
        yield error(check, f"{chunks} belongs to user {owner} and cannot be written by user {os.geteuid()}", advice)
        return
    yield _room(check, path)
    yield _access_times(check, path)


def _room(check: str, path: Path) -> Finding:
    status = os.statvfs(path)
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    used = 1 - free / total if total else 1.0
    message = f"{used:.0%} used, {free / 1e9:.1f} GB free"
    advice = "prune, then collect garbage; or give it more room. Removed backups free space a day later at the earliest"
    if status.f_files and status.f_favail < status.f_files // 50:
        return error(check, f"{status.f_favail} files can still be made", "the file system runs out of inodes: give it more room")
    if used >= FULL_SHARE:
        return error(check, message, advice)
    return warning(check, message, advice) if used >= NEARLY_FULL_SHARE else ok(check, message)


def _access_times(check: str, path: Path) -> Finding:
    """Set a file's access time, then have it set to now, as garbage collection and chunk reuse do."""
    advice = "garbage collection needs it; use a local file system (mount options noatime and relatime do no harm)"
    try:
        # A name with a dot is skipped by everything that walks a datastore.
        with tempfile.NamedTemporaryFile(dir=path, prefix=".doctor-") as file:
            os.utime(file.name, (LONG_AGO_S, LONG_AGO_S))
            before = os.stat(file.name).st_atime
            os.utime(file.name)
            after = os.stat(file.name).st_atime
    except OSError as problem:
        return error(check, f"a file could not be made in {path}: {problem.strerror}", "check mount, permissions and free space")
    if before == LONG_AGO_S and after > before:
        return ok(check, "keeps access times that are set")
    return error(check, "the file system does not keep access times that are set", advice)
