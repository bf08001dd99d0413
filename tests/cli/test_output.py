from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from platevault.cli.output import Column, OutputFormat, format_bytes, note, output, printable, progress
from platevault.cli.progress_bar import ProgressBar
from platevault.client.statistics import NoProgress

COLUMNS = [Column("name", "Name"), Column("size", "Size", format_bytes, right=True)]
ROWS: list[dict[str, Any]] = [{"name": "a", "size": 1024, "hidden": True}, {"name": "b\x1b", "size": None}]


def test_a_pipe_gets_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    output(OutputFormat.TEXT).table(COLUMNS, ROWS)
    assert capsys.readouterr().out == "a\t1.00 KiB\nb\\x1b\t\n"


def test_a_terminal_gets_a_drawn_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output(OutputFormat.TEXT).table(COLUMNS, [{"name": "[bold]a", "size": 1}])
    drawn = capsys.readouterr().out
    assert "Name" in drawn
    assert "[bold]a" in drawn


def test_machines_get_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    output(OutputFormat.JSON).table(COLUMNS, ROWS)
    assert json.loads(capsys.readouterr().out) == ROWS
    output(OutputFormat.JSON).value({"key": "ä"}, "for people")
    assert json.loads(capsys.readouterr().out) == {"key": "ä"}


def test_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    note("two\nlines\x07")
    assert capsys.readouterr() == ("", "two\nlines\\x07\n")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (10 * 1024, "10.0 KiB"), (1536 * 1024**2, "1.50 GiB"), (5 * 1024**6, "5120.0 PiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_printable_keeps_letters_of_all_scripts() -> None:
    assert printable("Grüße, 世界 \t\x00\x9b\ud800") == "Grüße, 世界 \\t\\x00\\x9b\\ud800"


def test_progress_is_quiet_unless_there_is_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(progress(), NoProgress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(progress(quiet=True), NoProgress)
    shown = progress()
    assert isinstance(shown, ProgressBar)
    for total in (10, None):
        shown.begin("disk.img.fidx", total)
        shown.advance(4)
        shown.end()
    shown.end()
    shown.advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert "disk.img.fidx" in err
