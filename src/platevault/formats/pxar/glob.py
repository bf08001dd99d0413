"""Translate one match pattern to a regular expression over the bytes of a path.

Source: spec formats §8.9, confirmed by 56 runs of the real client. `?` one byte, `*` any bytes, `[...]` one byte of a set, all but `/`;
`**` as a whole component: any number of components; a backslash takes the next byte literally.

Patterns come from files that anybody may have put into a tree, so that the time of a match must not grow with their cleverness: what stands
between two stars of a component, or between two `**`, is matched as early as possible and never tried again (atomic groups). That loses no
match, since between two stars all has a fixed length, and between two `**` a fixed number of components.
"""

from __future__ import annotations

import re
import string

from platevault.errors import Invalid

_ALL = frozenset(range(256)) - {ord("/")}
_PUNCTUATION = frozenset(string.punctuation.encode())
_ALNUM = frozenset((string.ascii_letters + string.digits).encode())
_SETS: dict[bytes, frozenset[int]] = {
    b"alnum": _ALNUM,
    b"alpha": frozenset(string.ascii_letters.encode()),
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset([*range(32), 127]),
    b"digit": frozenset(string.digits.encode()),
    b"graph": _ALNUM | _PUNCTUATION,
    b"lower": frozenset(string.ascii_lowercase.encode()),
    b"print": _ALNUM | _PUNCTUATION | frozenset(b" "),
    b"punct": _PUNCTUATION,
    b"space": frozenset(b" \t\n\v\f\r"),
    b"upper": frozenset(string.ascii_uppercase.encode()),
    b"xdigit": frozenset(string.hexdigits.encode()),
}
_STAR = b"[^/]*"
_FOLDERS = b"(?:[^/]+/)*"


class BadPattern(Invalid):
    """A match pattern that means nothing. Fact `pattern`."""


def translate(pattern: bytes, *, anchored: bool) -> bytes:
    """The expression that must match a whole path without its leading slash; anchored: not also a part of it behind any slash.

    pattern: at least one component, without leading, trailing and double slashes. Raises BadPattern.
    """
    segments: list[list[bytes]] = [[]] if anchored else [[], []]
    for component in pattern.split(b"/"):
        if component == b"**":
            segments.append([])
        else:
            segments[-1].append(_component(component, pattern))
    first, *middle, last = segments if len(segments) > 1 else ([], *segments)
    parts = [b"/".join(first) + b"/"] if first else []
    parts += [b"(?>(?:[^/]+/)*?%b/)" % b"/".join(segment) for segment in middle if segment]
    if len(segments) == 1:
        parts.append(b"/".join(last))
    else:
        parts.append(_FOLDERS + b"/".join(last) if last else b".+")
    return b"".join(parts)


def _component(text: bytes, pattern: bytes) -> bytes:
    """One component: fixed pieces with stars between them."""
    pieces, place = [b""], 0
    while place < len(text):
        byte = text[place : place + 1]
        if byte == b"*":
            place += 1
            if pieces[-1] or len(pieces) == 1:
                pieces.append(b"")
            continue
        expression, place = _one(text, place, pattern)
        pieces[-1] += expression
    if len(pieces) == 1:
        return pieces[0]
    first, *middle, last = pieces
    return first + b"".join(b"(?>[^/]*?%b)" % piece for piece in middle) + _STAR + last


def _one(text: bytes, place: int, pattern: bytes) -> tuple[bytes, int]:
    """The expression for what matches one byte, and the place behind it."""
    byte = text[place : place + 1]
    if byte == b"?":
        return b"[^/]", place + 1
    if byte == b"[":
        return _set(text, place + 1, pattern)
    if byte == b"\\":
        place += 1
        if place == len(text):
            raise BadPattern(f"pattern {_shown(pattern)} ends with a backslash", pattern=pattern)
    return re.escape(text[place : place + 1]), place + 1


def _set(text: bytes, place: int, pattern: bytes) -> tuple[bytes, int]:
    negated = text[place : place + 1] == b"^"
    place += negated
    found: set[int] = set()
    while text[place : place + 1] != b"]":
        if text[place : place + 2] == b"[:":
            end = text.find(b":]", place)
            name = text[place + 2 : end]
            if end < 0 or name not in _SETS:
                raise BadPattern(f"pattern {_shown(pattern)} has an unknown set [:{name[:20].decode(errors='replace')}:]", pattern=pattern)
            found |= _SETS[name]
            place = end + 2
            continue
        first, place = _member(text, place, pattern)
        last = first
        if text[place : place + 1] == b"-" and text[place + 1 : place + 2] not in (b"]", b""):
            last, place = _member(text, place + 1, pattern)
        found |= set(range(first, last + 1))
    return _expression(_ALL - found if negated else found & _ALL), place + 1


def _member(text: bytes, place: int, pattern: bytes) -> tuple[int, int]:
    if text[place : place + 1] == b"\\":
        place += 1
    if place >= len(text):
        raise BadPattern(f"pattern {_shown(pattern)} has a [ without its ]", pattern=pattern)
    return text[place], place + 1


def _expression(members: set[int] | frozenset[int]) -> bytes:
    """Every member as it is; an empty set matches nothing."""
    return b"[%b]" % b"".join(b"\\x%02x" % one for one in sorted(members)) if members else b"(?!)"


def _shown(pattern: bytes) -> str:
    return repr(pattern.decode(errors="backslashreplace"))
