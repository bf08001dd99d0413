"""A directory in which the walk through a tree is: its names without those that are excluded, and the patterns that hold below."""

from __future__ import annotations

from collections.abc import Iterator

from platevault.client.tree.excludes import CLI_EXCLUDES, EXCLUDE_FILE, read_exclude_file
from platevault.client.tree.listing import DIRECTORY, Named, list_directory
from platevault.client.tree.tree_log import TreeLog
from platevault.formats.pxar.patterns import PatternList


class Folder:
    """`path` from the root, without slashes at its ends; `prefix` the same with one, for its entries."""

    __slots__ = ("count", "names", "path", "patterns", "prefix")

    def __init__(self, path: bytes, names: list[Named], patterns: PatternList) -> None:
        self.path, self.prefix = path, path + b"/" if path else b""
        self.names: Iterator[Named] = iter(names)
        self.count = len(names)
        self.patterns = patterns


def list_folder(directory: int, path: bytes, patterns: PatternList, log: TreeLog) -> Folder:
    """The open directory at `path`, with what its `.pxarexclude` adds to `patterns`. One that cannot be listed counts as empty."""
    try:
        names = list_directory(directory)
    except OSError as error:
        log.skip(path, f"its entries cannot be listed: {error.strerror}")
        names = []
    if any(name == EXCLUDE_FILE for name, _ in names):
        patterns = patterns.extended(read_exclude_file(directory, path, log))
    if patterns:
        names = _without_excluded(names, path + b"/" if path else b"", patterns)
    if not path:
        names = [named for named in names if named[0] != CLI_EXCLUDES]
    return Folder(path, names, patterns)


def _without_excluded(names: list[Named], prefix: bytes, patterns: PatternList) -> list[Named]:
    kept = []
    for name, kind in names:
        match = patterns.decide(prefix + name, directory=kind == DIRECTORY)
        if match is None or match.includes:
            kept.append((name, kind))
    return kept
