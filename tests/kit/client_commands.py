"""Command lines of our client in this process, with an environment and a home directory of their own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from platevault.cli.main import run


@dataclass(frozen=True)
class Outcome:
    """What a command line left: its status and both outputs."""

    status: int
    raw: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        """The one line that an error is; fails when there is more or less."""
        lines = [line for line in self.err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class ClientCommands:
    """`environment` may be changed by tests; nothing of this process's own environment is seen but PATH."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[bytes], **environment: str) -> None:
        self.home, self._capture = home, capture
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CONFIG_DIRS": str(home / "etc"), **environment}

    def __call__(self, *words: str, **environment: str | None) -> Outcome:
        """Run `platevault WORDS…` in this process. environment: variables for this once; None removes one."""
        changed = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in changed.items():
                patch.setenv(name, value)
            status = run(words)
        out, err = self._capture.readouterr()
        return Outcome(status, out, err.decode())

    def good(self, *words: str, **environment: str | None) -> Outcome:
        """The same, and it must succeed."""
        outcome = self(*words, **environment)
        assert outcome.status == 0, outcome.err
        return outcome
