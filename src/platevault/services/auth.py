"""Authentication: logins, and who is behind a request (spec rest-api §4).

Nothing is kept per login: a ticket carries all. Verified tickets and token secrets are remembered for a while, bound to the version of
the configuration, since a signature check for each request would cost more than the request.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote

from platevault.clock import Clock
from platevault.config.database import Database
from platevault.config.identifiers import InvalidAuthId, check_auth_id, check_user_id, is_token
from platevault.config.secrets import TOKEN, Secrets
from platevault.config.users import Tokens, Users
from platevault.errors import Forbidden, Invalid
from platevault.services.passwords import Passwords, RealmUnavailable
from platevault.services.tickets import LIFETIME_S, BadTicket, Signer

COOKIE = "PBSAuthCookie"
HOST_COOKIE = "__Host-PBSAuthCookie"
TOKEN_SCHEME = "PBSAPIToken"
REMEMBERED = 4096


class AuthenticationFailed(Forbidden):
    """No or wrong credentials. The message never tells which."""

    def __init__(self, reason: str) -> None:
        super().__init__("authentication failed", reason=reason)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: a user or an API token."""

    auth_id: str


@dataclass(frozen=True, slots=True)
class Login:
    """What a successful login gives."""

    user_id: str
    ticket: str
    csrf_token: str


class Auth:
    """Safe to use from several threads; `_lock` protects what is remembered."""

    def __init__(self, database: Database, users: Users, tokens: Tokens, secrets: Secrets, passwords: Passwords, clock: Clock) -> None:
        self._database, self._users, self._tokens = database, users, tokens
        self._secrets, self.passwords, self._clock = secrets, passwords, clock
        self.signer = Signer(secrets)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[str, str], str] = OrderedDict()  # (kind of credential, its text) -> id
        self._version = -1

    # --- login ---

    def login(self, username: str, password: str) -> Login:
        """By password, or by a valid ticket of the same user (renewal). Raises AuthenticationFailed, Invalid for a bad user id."""
        user_id = check_user_id(username)
        try:
            self._check_active(user_id)
        except AuthenticationFailed:
            self.passwords.waste_time(password)  # or the time of the answer would tell who has an account
            raise
        if not (self._is_own_ticket(user_id, password) or self._is_password(user_id, password)):
            raise AuthenticationFailed(f"wrong password for {user_id}")
        return self.new_login(user_id)

    def new_login(self, user_id: str) -> Login:
        """Ticket and CSRF token for a user that has proved itself."""
        now = self._clock.now()
        return Login(user_id, self.signer.ticket(user_id, now), self.signer.csrf_token(user_id, now))

    def is_password(self, user_id: str, password: str) -> bool:
        """For confirmations: the password itself, no ticket."""
        return self._is_password(user_id, password)

    def _is_password(self, user_id: str, password: str) -> bool:
        try:
            return self.passwords.verify(user_id, password)
        except RealmUnavailable as error:
            raise AuthenticationFailed(error.message) from error

    def _is_own_ticket(self, user_id: str, text: str) -> bool:
        if not text.startswith("PBS:"):
            return False
        try:
            ticket = self.signer.check(text, self._clock.now())
        except BadTicket:
            return False
        return not ticket.is_partial and ticket.data == user_id

    def _check_active(self, auth_id: str) -> None:
        now = self._clock.now()
        if is_token(auth_id):
            token = self._tokens.find(auth_id)
            if token is None or not token.is_active(now):
                raise AuthenticationFailed(f"{auth_id} is unknown, disabled or expired")
            auth_id = token.user
        user = self._users.find(auth_id)
        if user is None or not user.is_active(now):
            raise AuthenticationFailed(f"{auth_id} is unknown, disabled or expired")

    # --- requests ---

    def identify(
        self, *, cookie: str | None = None, authorization: str | None = None, csrf: str | None = None, method: str = "GET"
    ) -> Identity:
        """Who sent a request with these header values. A ticket cookie wins over a token. Raises AuthenticationFailed."""
        ticket = ticket_cookie(cookie) if cookie else None
        if ticket is not None:
            auth_id = self._by_ticket(ticket)
            if method != "GET":
                self._check_csrf(csrf, auth_id)
        elif authorization is not None:
            auth_id = self._by_token(authorization)
        else:
            raise AuthenticationFailed("no credentials")
        self._check_active(auth_id)
        return Identity(auth_id)

    def _check_csrf(self, csrf: str | None, auth_id: str) -> None:
        try:
            self.signer.check_csrf(csrf or "", auth_id, self._clock.now())
        except BadTicket as error:
            raise AuthenticationFailed(error.message) from error

    def _by_ticket(self, text: str) -> str:
        now = self._clock.now()
        version, known = self._recall("ticket", text)
        if known is not None and int(text.rpartition("::")[0].rpartition(":")[2], 16) + LIFETIME_S >= now:
            return known
        try:
            ticket = self.signer.check(text, now)
            if ticket.is_partial:
                raise BadTicket("second factor is still missing")
            check_user_id(ticket.data)
        except (BadTicket, InvalidAuthId) as error:
            raise AuthenticationFailed(error.message) from error
        self._remember("ticket", text, ticket.data, version)
        return ticket.data

    def _by_token(self, authorization: str) -> str:
        version, known = self._recall("token", authorization)
        if known is not None:
            return known
        tokenid, secret = split_token(authorization)
        stored = self._secrets.get(TOKEN, tokenid)
        given = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        if stored is None or not hmac.compare_digest(stored, given):
            raise AuthenticationFailed(f"wrong secret for {tokenid}")
        self._remember("token", authorization, tokenid, version)
        return tokenid

    def _recall(self, kind: str, text: str) -> tuple[int, str | None]:
        """The version of the configuration, and who has proved itself with this text since it is in force."""
        version = self._database.config_version()
        with self._lock:
            if version > self._version:
                self._remembered.clear()
                self._version = version
            return version, self._remembered.get((kind, text))

    def _remember(self, kind: str, text: str, auth_id: str, version: int) -> None:
        with self._lock:
            if version != self._version:
                return  # the configuration has changed since the text was checked: the secret may be another one now
            self._remembered[kind, text] = auth_id
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)

    # --- token secrets ---

    def new_token_secret(self, tokenid: str) -> str:
        """Make and store the secret of a token; the text is never to be seen again."""
        secret = str(uuid.uuid4())
        self._secrets.set(TOKEN, tokenid, hashlib.sha256(secret.encode()).digest())
        return secret

    def forget_token_secret(self, tokenid: str) -> None:
        self._secrets.delete(TOKEN, tokenid)


def ticket_cookie(header: str) -> str | None:
    """The ticket in a Cookie header; the name that browsers guard wins."""
    found = cookies(header)
    return found.get(HOST_COOKIE, found.get(COOKIE, "")) or None


def cookies(header: str) -> dict[str, str]:
    """Names and decoded values of a Cookie header. Split at `;`; parsing stops at the first piece without `=`, as the reference does."""
    found: dict[str, str] = {}
    for piece in header.split(";"):
        name, equals, value = piece.strip().partition("=")
        if not equals:
            break
        found.setdefault(name, unquote(value))
    return found


def split_token(authorization: str) -> tuple[str, str]:
    """Token id and secret of `PBSAPIToken=ID:SECRET` or `PBSAPIToken ID:SECRET`. Raises AuthenticationFailed."""
    rest = authorization.removeprefix(TOKEN_SCHEME)
    if rest == authorization or rest[:1] not in ("=", " "):
        raise AuthenticationFailed("unknown authorization scheme")
    tokenid, colon, secret = rest[1:].strip().partition(":")
    try:
        if not colon or not is_token(check_auth_id(tokenid)):
            raise Invalid("not a token id")
    except Invalid as error:
        raise AuthenticationFailed(error.message) from error
    return tokenid, unquote(secret)
