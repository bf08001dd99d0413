"""Command lines of our client: in this process, where they are quick, or in a process of their own, where they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.live_server import PROGRAM, STORE, TIMEOUT_S, LiveServer
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


class LiveClient:
    """The client as one identity, with a home directory of its own. `environment` may be changed by tests."""

    def __init__(self, server: LiveServer, home: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture
        self.server, self.home = server, home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_DIRS": str(home / "etc"),
            "PBS_REPOSITORY": f"{server.token_id}@127.0.0.1:{server.port}:{STORE}",
            "PBS_PASSWORD": server.token,
            "PBS_FINGERPRINT": server.fingerprint,
        }

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

    def begin(self, *words: str) -> RunningClient:
        """Start it as a process."""
        return RunningClient(
            subprocess.Popen([PROGRAM, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE), words
        )


@dataclass
class RunningClient:
    """A client process."""

    process: subprocess.Popen[bytes]
    words: tuple[str, ...]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Outcome:
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return Outcome(self.process.returncode, out, err.decode())


class Gate:
    """A source that holds a backup: the client comes to it last, and goes on only when it is opened."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.spec = f"gate.conf:{path}"
        self._path = path
        self._descriptor = -1

    def wait(self) -> None:
        """Until the client is there: what stands before on its command line has been sent."""
        self._descriptor = os.open(self._path, os.O_WRONLY)  # returns when the other side opens it

    def open(self) -> None:
        os.write(self._descriptor, b"the gate is open")
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
