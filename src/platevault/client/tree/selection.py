"""Which entries of an archive are restored.

Without patterns all are. Otherwise the last pattern that matches an entry decides; where none does, what was decided for its directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from platevault.formats.pxar.patterns import PatternList, parse_pattern


class Selection:
    """Patterns as in `.pxarexclude`, except that they choose, and one with `!` leaves out."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises BadPattern."""
        self._patterns = PatternList(parse_pattern(os.fsencode(text)).pattern for text in patterns)
        self.all = not self._patterns

    def chooses(self, path: bytes, *, directory: bool, parent: bool) -> bool:
        """Whether the entry at `path` is restored, when its directory has `parent`."""
        match = self._patterns.decide(path, directory=directory)
        return parent if match is None else not match.includes
