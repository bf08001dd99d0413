"""A server's state and command lines for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.command_line import CommandLine


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse\nsecond line\n")
    return path


@pytest.fixture
def fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Command lines for a state that does not exist yet."""
    return CommandLine(tmp_path / "state", capsys)


@pytest.fixture
def local(fresh: CommandLine, password_file: Path) -> CommandLine:
    """Command lines for a state that was just made."""
    assert fresh("init --password-file", str(password_file)).status == 0
    return fresh
