"""Secrets from the environment: as they are, from a descriptor, a file, or the output of a command.

Source: the variables of proxmox-backup-client: NAME, NAME_FD, NAME_FILE, NAME_CMD, the first that is set counts; of the last three the
first line is taken.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from platevault.errors import Forbidden, Invalid

COMMAND_TIMEOUT_S = 120  # a password manager may ask somebody


def secret_from(name: str, environment: Mapping[str, str]) -> str | None:
    """The secret, or None when no variable is set. Raises Invalid when the one that is set cannot be read."""
    if name in environment:
        return environment[name]
    try:
        if f"{name}_FD" in environment:
            with os.fdopen(int(environment[f"{name}_FD"]), "rb") as file:
                return _first_line(file.read())
        if f"{name}_FILE" in environment:
            return _first_line(Path(environment[f"{name}_FILE"]).read_bytes())
        if f"{name}_CMD" in environment:
            return _first_line(_run(environment[f"{name}_CMD"]))
    except subprocess.CalledProcessError as error:  # its text holds the command line, in which secrets may stand
        raise Invalid(f"{name}_CMD: the command has ended with status {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise Invalid(f"{name}_CMD: the command has not ended within {COMMAND_TIMEOUT_S} s") from error
    except (OSError, ValueError) as error:
        raise Invalid(f"{name}: the secret cannot be read: {error}") from error
    return None


def secret_in_file(path: Path) -> str:
    """The first line of a file, of standard input for `-`. Raises Invalid when there is none to read."""
    try:
        secret = _first_line(sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(f"the secret in {path} cannot be read: {error}") from error
    if not secret:
        raise Invalid(f"the first line of {path} is empty: a secret was expected there")
    return secret


def _run(command: str) -> bytes:
    return subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, check=True, timeout=COMMAND_TIMEOUT_S).stdout


def _first_line(raw: bytes) -> str:
    return raw.split(b"\n", 1)[0].rstrip(b"\r").decode()


def on_a_terminal() -> bool:
    """Whether there is somebody to ask: a keyboard, and a screen that is not our answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_secret(prompt: str, *, otherwise: str) -> str:
    """Ask on the terminal without echo. Raises Forbidden with `otherwise` when there is no terminal."""
    if not sys.stdin.isatty():
        raise Forbidden(otherwise)
    return getpass.getpass(f"{prompt}: ")


def ask_new_secret(prompt: str, *, otherwise: str) -> str:
    """Ask twice. Raises Invalid when the answers differ."""
    first = ask_secret(prompt, otherwise=otherwise)
    if first != ask_secret(f"{prompt} again", otherwise=otherwise):
        raise Invalid("the two entries differ")
    return first
