"""The exclude patterns that hold in a directory: from the command line, and from the `.pxarexclude` files on the way to it.

Source: spec formats §8.9.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from platevault.client.tree.tree_log import TreeLog
from platevault.formats.pxar.patterns import Pattern, PatternList, parse_exclude_file, parse_pattern

EXCLUDE_FILE = b".pxarexclude"
CLI_EXCLUDES = b".pxarexclude-cli"
MAX_EXCLUDE_BYTES = 256 * 1024  # anybody who may write into the tree may write this file; all its patterns are kept in memory
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def parse_excludes(texts: Iterable[str], log: TreeLog) -> PatternList:
    """Patterns of the command line. Raises BadPattern."""
    patterns = []
    for text in texts:
        pattern, changed = parse_pattern(os.fsencode(text))
        patterns.append(pattern)
        if changed:
            log.note(f"exclude pattern {text!r} is read as {os.fsdecode(pattern.line)!r}: patterns are relative to the archive")
    return PatternList(patterns)


def read_exclude_file(directory: int, path: bytes, log: TreeLog) -> list[Pattern]:
    """The patterns of the exclude file in an open directory, `path` from the root; none, with a warning, when it cannot be read."""
    place = path + b"/" + EXCLUDE_FILE if path else EXCLUDE_FILE
    try:
        content = _read(directory)
    except OSError as error:
        log.warn(place, f"its patterns are ignored: {error.strerror}")
        return []
    if len(content) > MAX_EXCLUDE_BYTES:
        log.warn(place, f"its patterns are ignored: it is larger than {MAX_EXCLUDE_BYTES} bytes")
        return []
    patterns, warnings = parse_exclude_file(content, path)
    for text in warnings:
        log.warn(place, text)
    return patterns


def _read(directory: int) -> bytes:
    with open(os.open(EXCLUDE_FILE, OPEN_FLAGS, dir_fd=directory), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(MAX_EXCLUDE_BYTES + 1)
