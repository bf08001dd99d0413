"""Which error is which HTTP status. The only place where one becomes the other.

Source: spec rest-api §3.3, §3.4: nearly everything that a handler refuses is 400 in the reference server, also what other servers
answer with 404 or 409, and clients match its texts. A route says what the absence of the thing named by its path is (`Route.missing`).
"""

from __future__ import annotations

from platevault.errors import Aborted, Conflict, Corrupt, Forbidden, Invalid, NotFound, PlatevaultError, Unavailable
from platevault.services.access import NotOwner
from platevault.services.auth import AuthenticationFailed


class Refused(Forbidden):
    """A declared permission is missing; answered after a moment, to slow down trying."""


class WithStatus(PlatevaultError):
    """An answer with an explicit status, where the reference server has one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, status=status)
        self.status = status


class NotServed(WithStatus):
    """An endpoint of the reference server that this one does not have yet."""

    def __init__(self, what: str) -> None:
        super().__init__(501, f"{what} is not available in this version of Platevault")


FAMILIES: dict[type[PlatevaultError], int] = {
    AuthenticationFailed: 401,
    NotOwner: 400,  # the owner check is no permission check: clients and operators know it by its text
    Forbidden: 403,
    Invalid: 400,
    NotFound: 400,
    Conflict: 400,
    Corrupt: 400,
    Unavailable: 400,
    Aborted: 400,
}
UNEXPECTED = 500
UNEXPECTED_TEXT = "internal error, the server's log has the details"


def status_of(error: PlatevaultError, *, missing: int = 400) -> int:
    """The status of an error that a handler raised. missing: of the route, for NotFound."""
    if isinstance(error, WithStatus):
        return error.status
    if isinstance(error, NotFound):
        return missing
    return next((status for family, status in FAMILIES.items() if isinstance(error, family)), 400)
