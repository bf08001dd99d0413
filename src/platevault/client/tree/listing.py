"""The names of a directory in archive order, with the kind that the directory itself tells."""

from __future__ import annotations

import os
import sys

FILE, DIRECTORY, OTHER = 0, 1, 2
ENCODING, ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

Named = tuple[bytes, int]


def list_directory(directory: int) -> list[Named]:
    """Name and kind of every entry of an open directory, ascending by the bytes of the name. Raises OSError.

    The kind is a hint: the entry may be replaced before it is opened.
    """
    with os.scandir(directory) as entries:
        found = [
            (
                # What os.fsencode does, without its call: this runs for every entry of the tree.
                entry.name.encode(ENCODING, ERRORS),
                FILE if entry.is_file(follow_symlinks=False) else DIRECTORY if entry.is_dir(follow_symlinks=False) else OTHER,
            )
            for entry in entries
        ]
    found.sort()
    return found
