"""Options that the client's commands share, and the client that they describe. The environment is read here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.failure import show_trace
from platevault.cli.output import OutputFormat, note
from platevault.cli.secrets_from import ask_secret, on_a_terminal, secret_from
from platevault.errors import Forbidden, Invalid

if TYPE_CHECKING:
    from platevault.client.credentials import Credentials, Ticket
    from platevault.client.repository import Repository
    from platevault.client.rest import RestClient
    from platevault.client.session import Session
    from platevault.client.trust import Trust
    from platevault.formats.names import Namespace, SnapshotName

RepositoryOption = Annotated[
    str | None,
    typer.Option(
        "--repository",
        envvar="PBS_REPOSITORY",
        help="[[user@realm[!token]@]server[:port]:]datastore",
        metavar="REPOSITORY",
        show_default=False,
    ),
]
FingerprintOption = Annotated[
    str | None, typer.Option("--fingerprint", envvar="PBS_FINGERPRINT", help="SHA-256 of the server's certificate.", show_default=False)
]
NamespaceOption = Annotated[str, typer.Option("--ns", envvar="PBS_NAMESPACE", help="Namespace; empty for the root.", show_default=False)]
OutputOption = Annotated[OutputFormat, typer.Option("--output", "--output-format", help="Text for people, or JSON.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show where an error came from.", callback=show_trace, show_default=False)
]


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Our own folder for accepted fingerprints."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "platevault"


def fingerprint_files(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Files of accepted fingerprints: ours, then the one that proxmox-backup-client keeps for the same user."""
    ours = config_folder(environment)
    return [ours / "fingerprints", ours.parent / "proxmox-backup" / "fingerprints"]


def ticket_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where tickets are kept: memory that ends with the user's session where there is such, else the cache folder."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "platevault" / "tickets.json"


def open_client(repository: str | None, fingerprint: str | None, namespace: str = "") -> Client:
    """The client for the options of a command. Raises Invalid without a repository."""
    from platevault.client.repository import parse
    from platevault.formats.names import Namespace

    if not repository:
        raise Invalid("no repository: give --repository or set PBS_REPOSITORY to [[user@realm[!token]@]server[:port]:]datastore")
    return Client(parse(repository), fingerprint or None, Namespace.parse(namespace))


@dataclass
class Client:
    """One repository, asked as one identity. Nothing is connected before it is needed."""

    repository: Repository
    fingerprint: str | None
    namespace: Namespace

    @cached_property
    def trust(self) -> Trust:
        """The pin from option or environment, else the one accepted earlier, else the certificate authorities, else a question."""
        from platevault.client.fingerprints import load_fingerprint
        from platevault.client.trust import Trust, parse_fingerprint

        if self.fingerprint is not None:
            return Trust(parse_fingerprint(self.fingerprint))
        known = next((found for file in fingerprint_files() if (found := load_fingerprint(file, self.repository.server))), None)
        return Trust(known) if known is not None else self._settle_trust()

    def _settle_trust(self) -> Trust:
        from platevault.client.connect import open_tls
        from platevault.client.fingerprints import store_fingerprint
        from platevault.client.trust import Trust, UntrustedCertificate, probe

        try:
            open_tls(self.repository.host, self.repository.port, Trust()).close()
        except UntrustedCertificate:
            if not on_a_terminal():
                raise
        else:
            return Trust()
        shown = probe(self.repository.host, self.repository.port)
        note(f"The certificate of {self.repository.server} is not known. Its SHA-256 fingerprint is\n  {shown}")
        if not typer.confirm("Is this the right server? It will be remembered", err=True):
            raise Forbidden("the server's certificate was not accepted")
        store_fingerprint(fingerprint_files()[0], self.repository.server, shown)
        return Trust(shown)

    @cached_property
    def credentials(self) -> Credentials:
        """Secret of a token or password of a user; asked for on a terminal."""
        from platevault.client.credentials import PasswordCredentials, TokenCredentials

        auth_id = self.repository.auth_id
        secret = secret_from("PBS_PASSWORD", os.environ)
        if secret is None and self.cached_ticket is None:
            secret = ask_secret(
                f"Password of {auth_id}", otherwise=f"no password for {auth_id}: set PBS_PASSWORD, or use `platevault login`"
            )
        return TokenCredentials(auth_id, secret or "") if self.repository.is_token else PasswordCredentials(auth_id, secret or "")

    @cached_property
    def cached_ticket(self) -> Ticket | None:
        """A ticket of an earlier `login`, unless it is too old."""
        from platevault.client.ticket_cache import load_ticket
        from platevault.clock import SystemClock

        if self.repository.is_token:
            return None
        return load_ticket(ticket_file(), self.repository.server, self.repository.auth_id, now=SystemClock().now())

    @cached_property
    def rest(self) -> RestClient:
        """Connected at its first call."""
        from platevault.client.rest import RestClient
        from platevault.clock import SystemClock

        return RestClient(self.repository, self.trust, self.credentials, SystemClock(), ticket=self.cached_ticket)

    def auth_headers(self) -> dict[str, str]:
        """The proof of identity for a session; a token needs no REST client for it."""
        from platevault.client.credentials import TokenCredentials

        return self.credentials.headers() if isinstance(self.credentials, TokenCredentials) else self.rest.auth_headers()

    def open_backup(self, snapshot: SnapshotName) -> Session:
        """A session that writes `snapshot`."""
        from platevault.client.open_session import open_backup

        return open_backup(self.repository, self.trust, self.auth_headers(), self.namespace, snapshot)

    def open_reader(self, snapshot: SnapshotName) -> Session:
        """A session that reads `snapshot`."""
        from platevault.client.open_session import open_reader

        return open_reader(self.repository, self.trust, self.auth_headers(), self.namespace, snapshot)

    @property
    def ns(self) -> str | None:
        """The namespace as a REST parameter; left out for the root."""
        return str(self.namespace) or None
