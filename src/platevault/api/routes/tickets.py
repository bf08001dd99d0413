"""Login, renewal and logout.

Source: spec rest-api §4.3 to §4.7. The answer is the same in both output formats, so it is made here. There is no second factor yet:
no user has one, and an answer to a challenge is a failed login.
"""

from __future__ import annotations

import logging

from platevault.api.access_rules import PUBLIC
from platevault.api.envelope import CLEAR_COOKIE, encode
from platevault.api.parameters import NoParams, Params
from platevault.api.route import Call, RawReply, Route
from platevault.api.statuses import WithStatus
from platevault.api.types import Port, UserId
from platevault.errors import Invalid
from platevault.services.auth import HOST_COOKIE, AuthenticationFailed, Login, cookies
from platevault.services.tickets import ticket_info

log = logging.getLogger(__name__)


class Credentials(Params):
    """path, privs and port come with a terminal ticket; with an ordinary one they mean nothing."""

    username: UserId
    password: str | None = None
    tfa_challenge: str | None = None
    http_only: bool = False
    path: str | None = None
    privs: str | None = None
    port: Port | None = None


def create_ticket(call: Call, p: Credentials) -> RawReply:
    """Log in with a password, or renew a ticket."""
    candidates = [text for text in (_host_cookie(call), p.password) if text is not None]
    if not candidates:
        raise Invalid("no password provided")
    if p.tfa_challenge is not None:
        raise _refusal(call, p.username, "there is no second factor to be answered")
    login = _login(call, p.username, candidates)
    return _answer(login, http_only=p.http_only)


def _host_cookie(call: Call) -> str | None:
    """The ticket that only the browser knows: tried before the password, so that a page can renew what it cannot read."""
    return cookies(call.headers.get("cookie", "")).get(HOST_COOKIE) or None


def _login(call: Call, username: str, candidates: list[str]) -> Login:
    reason = ""
    for text in candidates:
        try:
            return call.app.auth.login(username, text)
        except AuthenticationFailed as error:
            reason = error.reason
    raise _refusal(call, username, reason)


def _refusal(call: Call, username: str, reason: str) -> WithStatus:
    """The answer never tells the reason, the log does: programs that lock out guessers read these lines."""
    log.warning("authentication failure; rhost=%s user=%s msg=%s", call.client_address, username, reason)
    return WithStatus(401, "permission check failed.")


def _answer(login: Login, *, http_only: bool) -> RawReply:
    data = {"username": login.user_id, "CSRFPreventionToken": login.csrf_token}
    headers: tuple[tuple[str, str], ...] = ()
    if http_only:
        headers = (("set-cookie", f"{HOST_COOKIE}={login.ticket}; Secure; SameSite=Lax; HttpOnly; Path=/;"),)
        data["ticket-info"] = ticket_info(login.ticket)
    else:
        data["ticket"] = login.ticket
    return RawReply(encode({"data": data, "status": 200, "success": True}), "application/json", headers=headers)


def delete_ticket(call: Call, p: NoParams) -> RawReply:
    """Make the browser forget its ticket. The server remembers none, so the ticket itself stays valid until it is too old."""
    return RawReply(encode({"data": {}, "status": 200, "success": True}), None, headers=(CLEAR_COOKIE,))


ROUTES = [
    Route("POST", "/access/ticket", create_ticket, Credentials, access=PUBLIC, priority="P0", slow=True),
    Route("DELETE", "/access/ticket", delete_ticket, access=PUBLIC),
]
