"""A real server process on the loopback with a state directory of its own, and command lines of the client against it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3

from platevault.client.trust import probe

PROGRAM = str(Path(sys.executable).parent / "platevault")
TIMEOUT_S = 60.0
STORE = "main"
PASSWORD = "correct horse"


@dataclass
class LiveServer:
    """`start`, `stop` and `kill` may be called in turn; state, port and secrets stay."""

    where: Path
    drain_s: float = 30
    port: int = 0
    token_id: str = ""
    token: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def store_path(self) -> Path:
        return self.where / "store"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PLATEVAULT_LOGIN_DELAY": "0", "PLATEVAULT_STATE_DIR": str(self.where / "state")}

    def admin(self, *words: str, given: str = "") -> str:
        """Run an administrator's command on this machine; returns its standard output."""
        done = subprocess.run(
            [PROGRAM, *words], input=given, env=self.environment(), capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def init(self) -> None:
        """Make the state, `admin@pbs`, a token with its rights, and the datastore."""
        made = self.admin(
            *f"init --password-file - --token conf --datastore {STORE} --output json --datastore-path".split(),
            str(self.store_path),
            given=PASSWORD,
        )
        account = json.loads(made)
        self.token_id, self.token = account["tokenid"], account["token"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    def start(self) -> None:
        """On return it answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, (self.where / "log").open("ab") as log:
            name = f"platevault-test-{secrets.token_hex(6)}"
            ready.bind(f"\0{name}")
            ready.settimeout(TIMEOUT_S)
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--drain-timeout", str(self.drain_s)],
                env={**self.environment(), "NOTIFY_SOCKET": f"@{name}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
            except TimeoutError:
                self.kill()
                raise AssertionError((self.where / "log").read_text()) from None

    def terminate(self) -> None:
        """SIGTERM; on return it takes no new connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + TIMEOUT_S
        while self.accepts() and time.monotonic() < until:
            pass

    def accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def wait(self) -> int:
        """The exit status."""
        assert self.process is not None
        status, self.process = self.process.wait(TIMEOUT_S), None
        return status

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.wait() == 0, (self.where / "log").read_text()

    def kill(self) -> None:
        """As kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)
            self.process = None

    @cached_property
    def fingerprint(self) -> str:
        return probe("127.0.0.1", self.port)

    def rest(self, method: str, path: str, **parameters: Any) -> Any:
        """`data` of a call as the administrator's token, by a client that is not ours."""
        pool = urllib3.PoolManager(cert_reqs=ssl.CERT_NONE, assert_hostname=False, assert_fingerprint=self.fingerprint, timeout=TIMEOUT_S)
        headers = {"authorization": f"PBSAPIToken={self.token_id}:{self.token}"}
        fields = {name.replace("_", "-"): str(value) for name, value in parameters.items()}
        answer = pool.request_encode_url(method, f"{self.url}/api2/json/{path}", fields=fields, headers=headers)
        assert answer.status == 200, answer.data
        return answer.json()["data"]

    def until_idle(self) -> None:
        """Wait until no task runs any more."""
        until = time.monotonic() + TIMEOUT_S
        while self.rest("GET", "nodes/localhost/tasks", running="true"):
            assert time.monotonic() < until, "a task does not end"

    def snapshots(self, namespace: str = "") -> list[str]:
        """`type/id` and time of what the server lists, unfinished ones included."""
        found = self.rest("GET", f"admin/datastore/{STORE}/snapshots", ns=namespace)
        return sorted(f"{item['backup-type']}/{item['backup-id']}/{item['backup-time']}" for item in found)

    def snapshots_of(self, group: str) -> list[int]:
        """The times of the snapshots of `host/GROUP`, unfinished ones included."""
        found = self.rest("GET", f"admin/datastore/{STORE}/snapshots", backup_type="host", backup_id=group)
        return sorted(int(item["backup-time"]) for item in found)
