"""Tickets and CSRF tokens: what a login gives out (spec rest-api §4.4, §4.6).

Ticket: `PREFIX:DATA:TIME::SIGNATURE`, Ed25519, base64 without padding. CSRF token: `TIME:BASE64` of an HMAC-SHA3-256 over time
and user. TIME is Unix seconds in 8 upper-case hex digits: existing clients read it to decide when to log in again.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from platevault.config.secrets import SIGNING, Secrets
from platevault.errors import Forbidden

PREFIX = "PBS"
PARTIAL = "!tfa!"
LIFETIME_S = 7200
FUTURE_S = 300  # clocks of several nodes may differ that much
PARTIAL_LIFETIME_S = 600
PARTIAL_FUTURE_S = 60
MAX_TICKET_CHARACTERS = 4096
_TIME = re.compile(r"[0-9A-F]{8}", re.ASCII)


class BadTicket(Forbidden):
    """Not a ticket of ours, or too old."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a verified ticket says. `data`: the user id, or `!tfa!` and a challenge; `time` in seconds since the epoch."""

    data: str
    time: int

    @property
    def is_partial(self) -> bool:
        return self.data.startswith(PARTIAL)


class Signer:
    """Makes and checks tickets and CSRF tokens with keys that all nodes share through the state database."""

    def __init__(self, secrets: Secrets) -> None:
        raw = secrets.get_or_make(SIGNING, "ticket", _new_ticket_key)
        self._private = Ed25519PrivateKey.from_private_bytes(raw)
        self._public = self._private.public_key()
        self._csrf_key = secrets.get_or_make(SIGNING, "csrf", lambda: os.urandom(32))

    def ticket(self, user_id: str, now: float) -> str:
        """A login ticket, valid for two hours."""
        text = f"{PREFIX}:{_escaped(user_id)}:{int(now):08X}"
        return f"{text}::{_plain_base64(self._private.sign(text.encode()))}"

    def check(self, ticket: str, now: float) -> Ticket:
        """What the ticket says. Raises BadTicket for a wrong signature or age."""
        head, mark, signature = ticket.rpartition("::")
        prefix, _, rest = head.partition(":")
        data, colon, stamp = rest.rpartition(":")
        if len(ticket) > MAX_TICKET_CHARACTERS or not mark or prefix != PREFIX or not colon or not _TIME.fullmatch(stamp):
            raise BadTicket("not a ticket")
        found = Ticket(unquote(data), int(stamp, 16))
        life, future = (PARTIAL_LIFETIME_S, PARTIAL_FUTURE_S) if found.is_partial else (LIFETIME_S, FUTURE_S)
        if not -future <= now - found.time <= life:
            raise BadTicket("ticket is too old")
        try:
            self._public.verify(_from_plain_base64(signature), head.encode())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise BadTicket("ticket has a wrong signature") from error
        return found

    def csrf_token(self, user_id: str, now: float) -> str:
        stamp = f"{int(now):08X}"
        return f"{stamp}:{_plain_base64(self._csrf_mac(stamp, user_id))}"

    def check_csrf(self, token: str, user_id: str, now: float) -> None:
        """Raises BadTicket."""
        stamp, colon, mac = token.partition(":")
        if not colon or not _TIME.fullmatch(stamp) or not -FUTURE_S <= now - int(stamp, 16) <= LIFETIME_S:
            raise BadTicket("CSRF token is missing or too old")
        if not hmac.compare_digest(mac.encode("utf-8", "surrogatepass"), _plain_base64(self._csrf_mac(stamp, user_id)).encode()):
            raise BadTicket("CSRF token does not belong to this user")

    def _csrf_mac(self, stamp: str, user_id: str) -> bytes:
        return hmac.new(self._csrf_key, f"{stamp}:{user_id}:".encode(), "sha3_256").digest()


def ticket_info(ticket: str) -> str:
    """The ticket with its signature taken out: for pages that must know user and age but not hold the ticket."""
    return f"{ticket.rpartition('::')[0]}::ticketinfo"


def _new_ticket_key() -> bytes:
    raw = serialization.Encoding.Raw
    return Ed25519PrivateKey.generate().private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())


def _escaped(text: str) -> str:
    """Printable ASCII without the separators, because a ticket travels in headers; and without `%`, so that it can be read back."""
    return "".join(chr(byte) if 0x20 < byte < 0x7F and byte not in b":%" else f"%{byte:02X}" for byte in text.encode())


def _plain_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _from_plain_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
