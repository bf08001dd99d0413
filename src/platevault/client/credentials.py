"""Who we are to the server: an API token, a password, or a ticket got for one. Nothing here is ever printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

TICKET_COOKIE = "PBSAuthCookie"


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """`auth_id` is `user@realm!token`; sent with every request, there is no login."""

    auth_id: str
    secret: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        # Servers split at the first colon and percent-decode the secret (spec clients §2 rule 1).
        return {"authorization": f"PBSAPIToken={self.auth_id}:{quote(self.secret, safe='')}"}


@dataclass(frozen=True, slots=True)
class PasswordCredentials:
    """A user and the password for the login."""

    auth_id: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a login returned. `cookie` is its name: newer servers may set another one themselves. `issued` in seconds since the epoch."""

    auth_id: str
    text: str = field(repr=False)
    csrf: str = field(repr=False)
    issued: float
    cookie: str = TICKET_COOKIE

    def headers(self) -> dict[str, str]:
        return {"cookie": f"{self.cookie}={quote(self.text, safe='')}", "csrfpreventiontoken": self.csrf}


Credentials = TokenCredentials | PasswordCredentials
