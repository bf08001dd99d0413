"""Every index file below the base, also outside the regular hierarchy, for garbage collection.

Source: spec formats §1.7 (walk rule): hidden names are skipped, links not followed, `lost+found` may be unreadable near the top,
any other directory that cannot be read is an error, because an index not seen means chunks deleted. For the same reason a link that stands
where a namespace, group, snapshot or index belongs is an error here: what it leads to may be somebody's backups.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from platevault.errors import Unavailable
from platevault.store.datastore import IndexFile
from platevault.store.filesystem import dirs
from platevault.store.filesystem.trouble import NotInStore, translated

LOST_AND_FOUND_DEPTH = 1
ID = r"[A-Za-z0-9_][A-Za-z0-9._\-]*"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
HIERARCHY = re.compile(rf"(?:ns/{ID}/)*(?:ns(?:/{ID})?|(?:vm|ct|host)(?:/{ID}(?:/{TIME}(?:/[^/]+\.[fd]idx)?)?)?)", re.ASCII)


class LinkInStore(Unavailable):
    """A symbolic link stands where backups belong; nobody knows which indexes it hides. Facts: `path`."""


def walk(base: int) -> Iterator[IndexFile]:
    """Index files in order of paths. Raises OSError for a directory that cannot be read, LinkInStore."""
    # Not `base` itself: walks that run at the same time would share its reading position, and miss entries.
    top = os.open(".", dirs.DIRECTORY, dir_fd=base)
    try:
        yield from _walk(top, "", 0)
    finally:
        os.close(top)


def look_at(base: int, path: str) -> IndexFile | None:
    """One index by its path; None when it is gone."""
    folder, _, name = path.rpartition("/")
    try:
        with translated("looking at", path), dirs.directory(base, folder) as parent:
            found = dirs.regular(parent, name)
    except NotInStore:
        return None
    return None if found is None else _index_file(path, found)


def _walk(parent: int, path: str, depth: int) -> Iterator[IndexFile]:
    with os.scandir(parent) as scan:
        entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in entries:
            here = f"{path}/{entry.name}" if path else entry.name
            if entry.is_symlink():
                _refuse_link(here)
            elif entry.is_dir(follow_symlinks=False):
                yield from _descend(parent, entry.name, here, depth)
            elif entry.name.endswith((".fidx", ".didx")):
                found = dirs.regular(parent, entry.name)
                if found is not None:
                    yield _index_file(here, found)


def _refuse_link(path: str) -> None:
    if HIERARCHY.fullmatch(path):
        raise LinkInStore(f"'{path}' is a symbolic link: links in a datastore are not followed, so what it names is unknown", path=path)


def _index_file(path: str, found: os.stat_result) -> IndexFile:
    return IndexFile(path, (found.st_ino, found.st_mtime_ns))


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
