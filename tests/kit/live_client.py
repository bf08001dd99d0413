"""Command lines of our client against a real server, and client processes that tests stop or kill."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.client_commands import ClientCommands, Outcome
from kit.live_server import PROGRAM, STORE, TIMEOUT_S, LiveServer


class LiveClient(ClientCommands):
    """The client as the token of the administrator."""

    def __init__(self, server: LiveServer, home: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        super().__init__(
            home,
            capture,
            PBS_REPOSITORY=f"{server.token_id}@127.0.0.1:{server.port}:{STORE}",
            PBS_PASSWORD=server.token,
            PBS_FINGERPRINT=server.fingerprint,
        )
        self.server = server

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
