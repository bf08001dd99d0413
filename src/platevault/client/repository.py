"""Where backups go: the repository text `[[user@realm[!token]@]server[:port]:]store`.

Source: the forms that existing clients accept (spec clients §4; PBS_REPOSITORY of proxmox-backup-client). IPv6 addresses stand in brackets.
Pure: the environment is read in `cli`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from platevault.errors import Invalid
from platevault.formats.names import check_store_name

DEFAULT_AUTH_ID = "root@pam"
DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8007
AUTH_ID = re.compile(r"[^\s:/@!]+(@[^\s:/@!]+)*@[A-Za-z0-9_][A-Za-z0-9._-]*(![A-Za-z0-9_][A-Za-z0-9._-]*)?")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]|[^\[\]:@]+)(:(?P<port>[0-9]{1,5}))?")
FORMS = "expected [[user@realm[!token]@]server[:port]:]store"


class InvalidRepository(Invalid):
    """The text is no repository. Fact `text`."""


@dataclass(frozen=True, slots=True)
class Repository:
    """One datastore on one server, and who asks. `host` has no brackets; `auth_id` is a user or `user@realm!token`."""

    store: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    auth_id: str = DEFAULT_AUTH_ID

    @property
    def is_token(self) -> bool:
        """Whether the secret belongs to an API token rather than being a password."""
        return "!" in self.auth_id

    @property
    def server(self) -> str:
        """`host:port` as it stands in a URL or a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.auth_id}@{self.server}:{self.store}"


def parse(text: str) -> Repository:
    """Read a repository text. Raises InvalidRepository, or InvalidName for a bad store name."""
    place, colon, store = text.strip().rpartition(":")
    check_store_name(store)
    if not colon:
        return Repository(store)
    auth_id, at, server = place.rpartition("@")
    if at and not AUTH_ID.fullmatch(auth_id):
        raise InvalidRepository(f"repository {text!r}: {auth_id!r} is no user@realm or user@realm!token", text=text)
    host, port = _server(server, text)
    return Repository(store, host, port, auth_id or DEFAULT_AUTH_ID)


def _server(text: str, whole: str) -> tuple[str, int]:
    match = SERVER.fullmatch(text)
    if match is None:
        raise InvalidRepository(f"repository {whole!r}: {text!r} is no server; {FORMS}, IPv6 in brackets", text=whole)
    host, port = match["host"], int(match["port"] or DEFAULT_PORT)
    if not host.startswith("[") and not HOST_NAME.fullmatch(host):
        raise InvalidRepository(f"repository {whole!r}: {host!r} is no host name", text=whole)
    if not 0 < port < 65536:
        raise InvalidRepository(f"repository {whole!r}: port {port} is outside 1..65535", text=whole)
    return host.strip("[]"), port
