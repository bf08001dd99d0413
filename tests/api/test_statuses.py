"""Which error is which status (spec rest-api §3.3, §3.4)."""

from __future__ import annotations

import pytest

from platevault.api.statuses import NotServed, Refused, WithStatus, status_of
from platevault.config.sections import EntryExists, NoSuchEntry, StaleDigest
from platevault.errors import Aborted, Conflict, Corrupt, Forbidden, Invalid, NotFound, PlatevaultError, Unavailable
from platevault.services.access import NotOwner, PermissionDenied
from platevault.services.auth import AuthenticationFailed


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("x"), 400),
        (NotFound("x"), 400),
        (NoSuchEntry("x"), 400),
        (EntryExists("x"), 400),
        (StaleDigest(), 400),
        (Conflict("x"), 400),
        (Corrupt("x"), 400),
        (Unavailable("x"), 400),
        (Aborted("x"), 400),
        (PlatevaultError("x"), 400),
        (Forbidden("x"), 403),
        (PermissionDenied("x"), 403),
        (Refused("x"), 403),
        (NotOwner("x"), 400),
        (AuthenticationFailed("x"), 401),
        (WithStatus(401, "x"), 401),
        (WithStatus(404, "x"), 404),
        (NotServed("it"), 501),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_status(error: PlatevaultError, status: int) -> None:
    assert status_of(error) == status


def test_a_route_says_what_absence_is() -> None:
    assert status_of(NoSuchEntry("x"), missing=404) == 404
    assert status_of(Invalid("x"), missing=404) == 400
