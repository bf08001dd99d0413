"""Runs command lines of `platevault` in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from platevault.cli.main import run


@dataclass(frozen=True)
class Outcome:
    """What a command line left: its status and both outputs."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """Commands for one state directory."""

    def __init__(self, state_dir: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.state_dir = state_dir
        self._capture = capture

    def __call__(self, words: str, *more: str) -> Outcome:
        """Run `platevault WORDS MORE… --state-dir …`."""
        self._capture.readouterr()
        status = run([*words.split(), *more, "--state-dir", str(self.state_dir)])
        out, err = self._capture.readouterr()
        return Outcome(status, out, err)
