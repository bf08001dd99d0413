"""Settings of the server from options and environment; an option wins over its variable, a variable over the default."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platevault.config.settings import Settings
from platevault.errors import Invalid

SYSTEM_STATE_DIR = Path("/var/lib/platevault")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: the field of `Settings` that it sets, and how its text is read."""

    name: str
    field: str
    kind: type[str] | type[int] | type[float] | type[Path] = str


VARIABLES = (
    Variable("PLATEVAULT_STATE_DIR", "state_dir", Path),
    Variable("PLATEVAULT_DATABASE_URL", "database_url"),
    Variable("PLATEVAULT_HOST", "host"),
    Variable("PLATEVAULT_PORT", "port", int),
    Variable("PLATEVAULT_NODE_NAME", "node_name"),
    Variable("PLATEVAULT_CERTIFICATE_FILE", "certificate_file", Path),
    Variable("PLATEVAULT_KEY_FILE", "key_file", Path),
    Variable("PLATEVAULT_LOCKS_DIR", "locks_dir", Path),
    Variable("PLATEVAULT_DRAIN_TIMEOUT", "drain_timeout_s", float),
    Variable("PLATEVAULT_WORKER_THREADS", "worker_threads", int),
    Variable("PLATEVAULT_MAX_CONNECTIONS", "max_connections", int),
    Variable("PLATEVAULT_LOGIN_DELAY", "login_delay_s", float),
)


def server_settings(environment: Mapping[str, str] = os.environ, **options: object) -> Settings:
    """The settings that options (by field name; None is not given), environment and defaults make. Raises Invalid."""
    given: dict[str, object] = {
        "state_dir": default_state_dir(environment),
        "node_name": socket.gethostname().partition(".")[0] or "localhost",
    }
    for variable in VARIABLES:
        if text := environment.get(variable.name):
            given[variable.field] = _read(variable, text)
    given |= {field: value for field, value in options.items() if value is not None}
    paths = {field: Path(value).absolute() for field, value in given.items() if isinstance(value, Path)}
    return Settings(**(given | paths))  # type: ignore[arg-type]


def _read(variable: Variable, text: str) -> object:
    try:
        return variable.kind(text)
    except ValueError as error:
        raise Invalid(f"{variable.name}={text!r} is no number", variable=variable.name) from error


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """The system's directory for root and for whoever may write it, otherwise one of the user's own."""
    if os.geteuid() == 0 or os.access(SYSTEM_STATE_DIR, os.W_OK):
        return SYSTEM_STATE_DIR
    home = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", "/")) / ".local" / "share")
    return Path(home) / "platevault"
