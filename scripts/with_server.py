"""Runs a command beside a fresh server: scripts/with-server [--store-dir DIR] COMMAND...

The server listens on a free port of 127.0.0.1, with an administrator `admin@pbs`, an API token of that user with the same rights and one
empty datastore. COMMAND finds them in its environment:

  CONF_URL                    https://127.0.0.1:PORT
  CONF_USER, CONF_PASSWORD    admin@pbs (role Admin on /) and its password
  CONF_TOKENID, CONF_TOKEN    the token and its secret
  CONF_STORE, CONF_STORE_PATH the datastore and its directory: DIR, or a temporary one
  CONF_FINGERPRINT            SHA-256 of the server's certificate, as clients want it
  CONF_SERVER_PID             the server's process
  PATH                        the project's virtual environment first

Returns COMMAND's status (128 + N when signal N ended it). State and log are temporary; DIR stays as COMMAND leaves it.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
START_TIMEOUT_S = 60.0
# Longer than the server's own drain time in this set-up, so that a kill means that something hangs.
STOP_TIMEOUT_S = 20.0
DRAIN_S = 5
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Account:
    """What `platevault init` made."""

    user: str
    password: str
    token_id: str
    token: str


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/with-server", description="Run COMMAND beside a fresh server.")
    parser.add_argument("--store-dir", type=Path, help="directory of the datastore, empty or not there yet; it is not removed")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("COMMAND is missing")
    # Without this, a SIGTERM would leave the server and the temporary directory behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    scratch = Path(tempfile.mkdtemp(prefix="platevault-"))
    try:
        return run_beside_server(scratch, (options.store_dir or scratch / "store").absolute(), command)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run_beside_server(scratch: Path, store: Path, command: list[str]) -> int:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    account = initialise(scratch, store, environment)
    port = free_port()
    with server(scratch, port, environment) as process:
        environment |= {
            "CONF_URL": f"https://127.0.0.1:{port}",
            "CONF_USER": account.user,
            "CONF_PASSWORD": account.password,
            "CONF_TOKENID": account.token_id,
            "CONF_TOKEN": account.token,
            "CONF_STORE": "main",
            "CONF_STORE_PATH": str(store),
            "CONF_FINGERPRINT": fingerprint(port),
            "CONF_SERVER_PID": str(process.pid),
        }
        return run(command, environment)


def initialise(scratch: Path, store: Path, environment: dict[str, str]) -> Account:
    """Make state directory, administrator, token and datastore."""
    password = secrets.token_urlsafe(15)
    options = f"--admin admin@pbs --password-file - --token conf --datastore main --datastore-path {shlex.quote(str(store))} --output json"
    answer = subprocess.run(
        [*platevault("init", scratch), *shlex.split(options)],
        input=password,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        sys.exit("with-server: platevault init failed")
    made = json.loads(answer.stdout)
    return Account(made["user"], password, made["tokenid"], made["token"])


def platevault(command: str, scratch: Path) -> list[str]:
    return [str(BIN / "platevault"), command, "--state-dir", str(scratch / "state")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def server(scratch: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers; stopped at the end."""
    log = scratch / "server.log"
    # The abstract name needs no path and no clean-up; the server says READY=1 to it as it would to systemd.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("wb") as output:
        name = f"platevault-{os.getpid()}-{secrets.token_hex(4)}"
        ready.bind(f"\0{name}")
        process = subprocess.Popen(
            [*platevault("serve", scratch), *f"--host 127.0.0.1 --port {port} --drain-timeout {DRAIN_S}".split()],
            env={**environment, "NOTIFY_SOCKET": f"@{name}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        try:
            wait_until_ready(process, ready, log)
            yield process
            if process.poll() is not None:
                print(f"with-server: the server ended by itself with status {process.returncode}:\n{tail(log)}", file=sys.stderr)
        finally:
            stop(process)


def die_with_parent() -> None:
    """Have the kernel end the server when this process is killed outright."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until_ready(process: subprocess.Popen[bytes], ready: socket.socket, log: Path) -> None:
    ready.settimeout(0.2)
    for _ in range(round(START_TIMEOUT_S / 0.2)):
        with suppress(TimeoutError):
            if b"READY=1" in ready.recv(4096):
                return
        if process.poll() is not None:
            sys.exit(f"with-server: the server did not start (status {process.returncode}):\n{tail(log)}")
    sys.exit(f"with-server: the server was not ready after {START_TIMEOUT_S:.0f} s:\n{tail(log)}")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"with-server: the server did not stop within {STOP_TIMEOUT_S:.0f} s and is killed", file=sys.stderr)
        process.kill()
        process.wait()


def fingerprint(port: int) -> str:
    """SHA-256 of the leaf certificate as pairs of lower-case hexadecimal digits with colons."""
    certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return hashlib.sha256(certificate).digest().hex(":")


def run(command: list[str], environment: dict[str, str]) -> int:
    """The status of COMMAND as a shell would give it."""
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"with-server: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    # A Ctrl-C reaches the child as well, and the child decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
