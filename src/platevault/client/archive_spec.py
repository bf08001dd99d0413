"""What goes into a snapshot: `NAME.pxar:/directory`, `NAME.img:/file-or-device`, `NAME.conf:/file`, `NAME.log:/file`.

Source: spec formats §4.3 (names on the client and on the server).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from platevault.errors import Invalid
from platevault.formats.names import check_safe, server_name


class SourceKind(StrEnum):
    """How a source is stored; the value is the extension."""

    TREE = "pxar"
    IMAGE = "img"
    CONF = "conf"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class ArchiveSpec:
    """`name` as the client says it (`root.pxar`), `path` what is read."""

    name: str
    kind: SourceKind
    path: Path

    @property
    def stored_name(self) -> str:
        """The name on the server, e.g. `root.pxar.didx`."""
        return server_name(self.name)


def parse_spec(text: str) -> ArchiveSpec:
    """Read one spec. Raises Invalid with the form that was expected."""
    name, colon, path = text.partition(":")
    stem, _, extension = name.rpartition(".")
    if not colon or not path or extension not in set(SourceKind):
        kinds = ", ".join(f"NAME.{kind}" for kind in SourceKind)
        raise Invalid(f"{text!r} names no archive: expected NAME.EXT:PATH with {kinds}", text=text)
    check_safe(stem, "archive name")
    return ArchiveSpec(name, SourceKind(extension), Path(path))


def parse_specs(texts: Sequence[str]) -> list[ArchiveSpec]:
    """Read all specs. Raises Invalid, also for none and for a name given twice."""
    specs = [parse_spec(text) for text in texts]
    if not specs:
        raise Invalid("nothing to back up: give at least one NAME.EXT:PATH")
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"{name} is given twice", name=name)
    return specs
