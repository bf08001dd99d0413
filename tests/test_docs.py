"""The documentation says what the program does: commands, settings, routes, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from platevault.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^|[\s`(])(?:/opt/platevault/bin/)?platevault ((?:[a-z][a-z-]*\b ?){1,2})")
PROSE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def test_reference_pages_are_current() -> None:
    answer = subprocess.run([sys.executable, ROOT / "scripts" / "reference.py", "--check"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_pages_show_exist(page: Path) -> None:
    shown = {match.strip() for code in PROSE.findall(page.read_text()) for match in COMMAND.findall(code)}
    assert sorted(words for words in shown if not _exists(words.split())) == []


def _exists(words: list[str]) -> bool:
    command: Any = typer.main.get_command(app)
    for word in words:
        children = getattr(command, "commands", None)
        if children is None:
            return True
        if word not in children:
            return False
        command = children[word]
    return True


def test_every_command_group_is_explained_in_a_written_page() -> None:
    text = "\n".join(page.read_text() for page in PAGES if "reference" not in page.parts)
    commands: Any = typer.main.get_command(app)
    missing = [name for name, command in commands.commands.items() if not command.hidden and f"platevault {name}" not in text]
    assert missing == []
