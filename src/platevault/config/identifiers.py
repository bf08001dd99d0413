"""User ids, API token ids, realms: their forms and checks (spec rest-api §4.1)."""

from __future__ import annotations

import re

from platevault.errors import Invalid
from platevault.formats.names import SAFE_ID

SUPERUSER = "root@pam"
_USER_NAME = re.compile(r"[^\s:/\x00-\x1f\x7f]+")
_REALM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]{1,31}", re.ASCII)


class InvalidAuthId(Invalid):
    """Neither a user id nor a token id. Fact: `text`."""


def check_user_id(text: str) -> str:
    """`NAME@REALM`, 3 to 64 characters. Raises InvalidAuthId."""
    name, at, realm = text.rpartition("@")
    if not at or not 3 <= len(text) <= 64 or not _USER_NAME.fullmatch(name) or not _REALM.fullmatch(realm):
        raise InvalidAuthId(f"'{text[:64]}' is no user id: NAME@REALM", text=text)
    return text


def check_auth_id(text: str) -> str:
    """A user id, or `USER!TOKENNAME`. Raises InvalidAuthId."""
    user, bang, token = text.rpartition("!")
    if not bang or "@" in token:
        return check_user_id(text)
    check_user_id(user)
    if not SAFE_ID.fullmatch(token):
        raise InvalidAuthId(f"'{text[:96]}' is no token id: NAME@REALM!TOKEN", text=text)
    return text


def is_token(auth_id: str) -> bool:
    return token_name(auth_id) is not None


def token_name(auth_id: str) -> str | None:
    """The part behind the `!` of a token id; None for a user."""
    head, bang, token = auth_id.rpartition("!")
    return token if bang and "@" in head and "@" not in token else None


def user_of(auth_id: str) -> str:
    """The user itself, or the owner of the token."""
    return auth_id.rpartition("!")[0] if is_token(auth_id) else auth_id


def realm_of(user_id: str) -> str:
    return user_id.rpartition("@")[2]


def name_of(user_id: str) -> str:
    return user_id.rpartition("@")[0]
