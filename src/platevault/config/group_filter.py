"""Filters of backup groups in sync jobs: `[include:|exclude:]type:vm`, `…group:vm/100`, `…regex:EXPR` (spec administration §4.3)."""

from __future__ import annotations

from platevault.errors import Invalid
from platevault.formats.names import BackupType, GroupName

EXPECTED = "input doesn't match expected format '<group:GROUP||type:<vm|ct|host>|regex:REGEX>'"


class InvalidFilter(Invalid):
    """A text that is no filter. Fact: `text`."""


def normal_filter(text: str) -> str:
    """The filter without the word `include:`, which is the default. Raises InvalidFilter."""
    rest = text.removeprefix("include:")
    kind, colon, value = rest.removeprefix("exclude:").partition(":")
    if not colon or not value or not _fits(kind, value):
        raise InvalidFilter(EXPECTED, text=text)
    return rest


def _fits(kind: str, value: str) -> bool:
    if kind == "type":
        return value in {known.value for known in BackupType}
    if kind == "group":
        try:
            GroupName.parse(value)
        except Invalid:
            return False
        return True
    return kind == "regex"
