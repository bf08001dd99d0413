"""What of a directory is archived."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MAX_ENTRIES = 1024 * 1024  # as other clients have it: names are held in memory while their directory is open


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """`excludes`: patterns as in `.pxarexclude`. Without `all_file_systems` only the directory's own file system is entered, and those of
    the paths in `include_dev`. `entries_max`: most entries of the directories that are open at once."""

    excludes: tuple[str, ...] = ()
    include_dev: tuple[str, ...] = ()
    all_file_systems: bool = False
    entries_max: int | None = None
