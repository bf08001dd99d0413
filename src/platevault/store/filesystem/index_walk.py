"""Every index file below the base, also outside the regular hierarchy, for garbage collection.

Source: spec formats §1.7 (walk rule): hidden names are skipped, links not followed, `lost+found` may be unreadable near the top,
any other directory that cannot be read is an error, because an index not seen means chunks deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from platevault.store.datastore import IndexFile
from platevault.store.filesystem import dirs

LOST_AND_FOUND_DEPTH = 1


def walk(base: int) -> Iterator[IndexFile]:
    """Index files in order of paths. Raises OSError for a directory that cannot be read."""
    yield from _walk(base, "", 0)


def _walk(parent: int, path: str, depth: int) -> Iterator[IndexFile]:
    with os.scandir(parent) as scan:
        entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in entries:
            here = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _descend(parent, entry.name, here, depth)
            elif entry.name.endswith((".fidx", ".didx")):
                found = dirs.regular(parent, entry.name)
                if found is not None:
                    yield IndexFile(here, (found.st_ino, found.st_mtime_ns))


def _descend(parent: int, name: str, path: str, depth: int) -> Iterator[IndexFile]:
    try:
        descriptor = os.open(name, dirs.DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return  # removed since it was listed
    except PermissionError:
        if name == "lost+found" and depth <= LOST_AND_FOUND_DEPTH:
            return
        raise
    try:
        yield from _walk(descriptor, path, depth + 1)
    finally:
        os.close(descriptor)
