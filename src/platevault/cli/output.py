"""What commands print: answers on standard output as text or JSON, chosen once; messages and progress on standard error.

Progress is drawn on a terminal only, so that logs of scheduled runs stay readable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from platevault.client.statistics import Progress

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class OutputFormat(StrEnum):
    """Values of `--output`."""

    TEXT = "text"
    JSON = "json"
    JSON_PRETTY = "json-pretty"  # a name that users of proxmox-backup-client know; the same


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the key in each row, its title, and how a value becomes text."""

    key: str
    title: str
    show: Callable[[Any], str] = str
    right: bool = False


class Output(Protocol):
    """One of the two printers."""

    def value(self, data: object, text: str) -> None:
        """One answer: `data` for machines, `text` for people."""

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        """A list of like things; people see the columns, machines all keys."""


class TextOutput:
    """For people."""

    def value(self, data: object, text: str) -> None:
        if text:
            print(text)

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        # A pipe gets plain lines, so that grep and cut work; a terminal gets a drawn table.
        if sys.stdout.isatty():
            _draw(columns, rows)
            return
        for row in rows:
            print("\t".join(_cell(column, row) for column in columns))


class JsonOutput:
    """For machines: one JSON value a command."""

    def value(self, data: object, text: str) -> None:
        print(json.dumps(data, indent=2, ensure_ascii=False))

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        self.value([dict(row) for row in rows], "")


def output(chosen: OutputFormat) -> Output:
    """The printer for `--output`."""
    return TextOutput() if chosen is OutputFormat.TEXT else JsonOutput()


def note(text: str) -> None:
    """A message that is no answer, on standard error."""
    print("\n".join(printable(line) for line in text.split("\n")), file=sys.stderr)


def printable(text: str) -> str:
    """A line for people. Names and texts come from other machines: what could drive a terminal is escaped."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode() for letter in text)


def format_bytes(size: float) -> str:
    """`1.50 GiB`: three significant digits, binary units."""
    unit = 0
    while abs(size) >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.2f} {UNITS[unit]}" if size < 10 else f"{size:.1f} {UNITS[unit]}"


def _cell(column: Column, row: Mapping[str, Any]) -> str:
    value = row.get(column.key)
    return "" if value is None else printable(column.show(value))


def _draw(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(column, row)) for column in columns))
    Console().print(table)


def progress(*, quiet: bool = False) -> Progress:
    """Shows rate and remaining time on a terminal; silent elsewhere."""
    from platevault.client.statistics import NoProgress

    if quiet or not sys.stderr.isatty():
        return NoProgress()
    from platevault.cli.progress_bar import ProgressBar

    return ProgressBar()
