"""Sizes and rates with a unit, as people write them: `10 MiB`, `1.5GB`, `1000` (spec rest-api §5).

The unit that was given is kept; the normal form has a blank before it and at most three decimals.
"""

from __future__ import annotations

import re

from platevault.errors import Invalid

UNITS = {"B": 1}
UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGTP", 1)}
UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)}
MAX_CHARACTERS = 64
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) *(?P<unit>(?:[KMGTP]i?)?B?)", re.ASCII)


class InvalidSize(Invalid):
    """A text that is no size. Fact: `text`."""


def normal_size(text: str) -> str:
    """The normal form. Raises InvalidSize."""
    number, unit = _parse(text)
    shown = f"{number:.3f}".rstrip("0").rstrip(".")
    return f"{shown} {unit}"


def size_in_bytes(text: str) -> int:
    """Raises InvalidSize."""
    number, unit = _parse(text)
    return int(number * UNITS[unit])


def _parse(text: str) -> tuple[float, str]:
    match = _SIZE.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    if match is None:
        raise InvalidSize(f"byte-size parse error for '{text[:MAX_CHARACTERS]}'", text=text)
    unit = match["unit"]
    return float(match["number"]), unit if unit.endswith("B") else f"{unit}B"
