"""Which entries of a tree are meant: lists of match patterns, from `.pxarexclude` files or the command line.

Source: spec formats §8.9, confirmed by 56 runs of the real client. The last pattern that matches decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from platevault.formats.pxar.glob import BadPattern, translate


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. `line`: as `.pxarexclude-cli` keeps it. `expression`: for whole paths, empty when it matches nothing."""

    line: bytes
    expression: bytes
    includes: bool = False
    directories_only: bool = False


class Parsed(NamedTuple):
    """`changed`: `.`, `..` or double slashes were taken out, so that the pattern may not mean what its writer thought."""

    pattern: Pattern
    changed: bool


def parse_pattern(text: bytes, *, folder: bytes = b"") -> Parsed:
    """Read one pattern: `[!][/]path[/]`. folder: the directory that a leading slash means, relative to the root. Raises BadPattern."""
    includes = text.startswith(b"!")
    body = text[1:] if includes else text
    anchored, directories_only = body.startswith(b"/"), body.endswith(b"/") or not body
    path = b"/".join(_without_dots(body.split(b"/")))
    line = b"!" * includes + b"/" * (anchored and bool(path)) + path + b"/" * directories_only
    expression = translate(path, anchored=anchored) if path else b""
    if expression and anchored and folder:
        expression = re.escape(folder + b"/") + expression
    return Parsed(Pattern(line, expression, includes, directories_only), bool(path) and line != text)


def _without_dots(components: list[bytes]) -> list[bytes]:
    """Take `.`, `..` and empty components out as text, without looking at any file."""
    kept: list[bytes] = []
    for component in components:
        if component == b"..":
            del kept[-1:]
        elif component not in (b"", b"."):
            kept.append(component)
    return kept


def parse_exclude_file(content: bytes, folder: bytes) -> tuple[list[Pattern], list[str]]:
    """The patterns of a `.pxarexclude` in `folder`, relative to the root, and what is to be warned of: bad lines are left out."""
    patterns, warnings = [], []
    for line in content.split(b"\n"):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            pattern, changed = parse_pattern(text, folder=folder)
        except BadPattern as error:
            warnings.append(str(error))
            continue
        patterns.append(pattern)
        if changed:
            warnings.append(f"{text.decode(errors='backslashreplace')!r} is read as {pattern.line.decode(errors='backslashreplace')!r}")
    return patterns, warnings


class PatternList:
    """Patterns in their order. Cheap to ask: all are one regular expression, compiled when it is first needed."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self._patterns = tuple(patterns)
        self._compiled: dict[bool, _Alternatives] = {}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def extended(self, more: Iterable[Pattern]) -> PatternList:
        """A list with more patterns, which win over these."""
        return PatternList((*self._patterns, *more))

    def lines(self) -> bytes:
        """One line for each, as `.pxarexclude-cli` keeps them."""
        return b"".join(pattern.line + b"\n" for pattern in self._patterns)

    def decide(self, path: bytes, *, directory: bool) -> Pattern | None:
        """The last pattern that matches `path`, which is relative to the root and has no leading slash."""
        found = self._compiled.get(directory)
        if found is None:
            chosen = [one for one in self._patterns if one.expression and (directory or not one.directories_only)]
            found = self._compiled[directory] = _Alternatives(chosen)
        return found.match(path)


class _Alternatives:
    """One expression for many patterns. The engine tries alternatives from the left, and the last pattern wins: hence the reversal."""

    def __init__(self, patterns: list[Pattern]) -> None:
        self._patterns = patterns[::-1]
        self._expression = re.compile(b"|".join(b"(%b)" % pattern.expression for pattern in self._patterns), re.DOTALL)

    def match(self, path: bytes) -> Pattern | None:
        if not self._patterns:
            return None
        found = self._expression.fullmatch(path)
        return None if found is None or found.lastindex is None else self._patterns[found.lastindex - 1]
