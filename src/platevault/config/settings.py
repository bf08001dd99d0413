"""Settings of one server process. Made by `cli` or `app`, the only rooms that read the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_PORT = 8007


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be known before the state database is open. Paths are absolute."""

    state_dir: Path
    """Database, certificate, lock files of this machine; mode 0700."""
    database_url: str | None = None
    """SQLAlchemy URL; None: SQLite in the state directory."""
    host: str = "::"
    """Address to listen on; `::` is dual stack."""
    port: int = DEFAULT_PORT
    """0 takes a free port."""
    node_name: str = "localhost"
    """First label of the host name: part of every UPID."""
    certificate_file: Path | None = None
    """Own certificate chain (PEM); None: a self-signed one in the state directory."""
    key_file: Path | None = None
    """Its private key (PEM); None: in the certificate file."""
    locks_dir: Path | None = None
    """Lock files of datastores; programs that serve the same directory must share it. None: in the state directory."""
    drain_timeout_s: float = 30.0
    """How long a graceful stop waits for running sessions."""
    worker_threads: int = 32
    """Blocking REST handlers at a time."""
    max_connections: int = 2000
    """Open connections; further ones are closed at once."""
    login_delay_s: float = 3.0
    """How long an answer to wrong credentials is held back; clients of the field give up after 5 s."""

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.state_dir / 'state.db'}"

    @property
    def locks(self) -> Path:
        return self.locks_dir or self.state_dir / "locks"
