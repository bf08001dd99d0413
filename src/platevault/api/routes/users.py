"""Users and their passwords."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from platevault.api import records
from platevault.api.access_rules import SUPERUSER_ID, Either, Oneself, either, needs
from platevault.api.parameters import Params
from platevault.api.route import Call, Reply, Route
from platevault.api.statuses import WithStatus
from platevault.api.types import Comment, Digest, Natural, NewPassword, PersonText, TriedPassword, UserId
from platevault.config.identifiers import is_token, realm_of, user_of
from platevault.config.users import User
from platevault.errors import Conflict, Invalid
from platevault.services.passwords import REALM_PAM, REALM_PBS

PLACE = "/access/users"
DEFAULTS = {"enable": True, "expire": 0}


class UserList(Params):
    model_config = ConfigDict(alias_generator=None)  # the one parameter of the API that is spelled with an underscore

    include_tokens: bool = False


class UserFields(Params):
    userid: UserId
    comment: Comment | None = None
    enable: bool | None = None
    expire: Natural | None = None
    firstname: PersonText | None = None
    lastname: PersonText | None = None
    email: PersonText | None = None


class NewUser(UserFields):
    password: NewPassword | None = None


class UserParams(Params):
    userid: UserId


class UserUpdate(UserFields):
    """password is taken and not used, as it is with the reference server: there is a call of its own for it."""

    password: TriedPassword | None = None
    delete: list[Literal["comment", "firstname", "lastname", "email"]] | None = None
    digest: Digest | None = None


class UserRemoval(UserParams):
    digest: Digest | None = None


class PasswordChange(UserParams):
    password: NewPassword
    confirmation_password: TriedPassword | None = None


def list_users(call: Call, p: UserList) -> Reply:
    """All users; without Sys.Audit only the caller."""
    everything = call.app.access.has_any(call.auth_id, PLACE, ["Sys.Audit"])
    users = call.app.accounts.users
    found = [user for user in users.all() if everything or user.userid == user_of(call.auth_id)]
    return Reply([_item(call, user, with_tokens=p.include_tokens) for user in found], digest=users.digest())


def _item(call: Call, user: User, *, with_tokens: bool) -> dict[str, Any]:
    item = records.shown(user)
    tokens = call.app.accounts.tokens.of(user.userid) if with_tokens else []
    return item | {"tokens": [records.shown(token) for token in tokens]} if tokens else item


def get_user(call: Call, p: UserParams) -> Reply:
    """One user."""
    users = call.app.accounts.users
    return Reply(records.shown(users.get(p.userid)), digest=users.digest())


def create_user(call: Call, p: NewUser) -> None:
    """Create a user of a realm that exists, with a password where the realm keeps one."""
    realm = realm_of(p.userid)
    if realm not in (REALM_PAM, REALM_PBS):
        raise Invalid(f"unknown realm '{realm}'")
    if call.app.accounts.users.find(p.userid) is not None:
        raise Conflict(f"user '{p.userid}' already exists.")
    call.app.accounts.create_user(User(**records.given(p, User)), p.password)


def update_user(call: Call, p: UserUpdate) -> None:
    """Change a user; what is not given stays."""
    users = call.app.accounts.users
    users.update(records.updated(users.get(p.userid), p, delete=p.delete, defaults=DEFAULTS), digest=p.digest)


def remove_user(call: Call, p: UserRemoval) -> None:
    """Remove a user with its password, tokens and permissions."""
    if p.userid == SUPERUSER_ID:
        raise Invalid(f"user '{SUPERUSER_ID}' cannot be removed")
    if call.app.accounts.users.find(p.userid) is None:
        raise Invalid(f"user '{p.userid}' does not exist.")
    call.app.accounts.remove_user(p.userid, digest=p.digest)


def change_password(call: Call, p: PasswordChange) -> None:
    """Set the password of a user. Whoever asks confirms with the own password; only the superuser need not."""
    if call.auth_id != SUPERUSER_ID:
        _confirm(call, p.confirmation_password)
        _check_may_change(call, p.userid)
    call.app.accounts.users.get(p.userid)
    call.app.auth.passwords.set(p.userid, p.password)


def _confirm(call: Call, password: str | None) -> None:
    """Raises 401, which is answered late: this is a place to guess passwords, too."""
    if password is None:
        raise WithStatus(401, "missing password")
    if not call.app.auth.is_password(user_of(call.auth_id), password):
        raise WithStatus(401, "invalid credentials")


def _check_may_change(call: Call, userid: str) -> None:
    """Oneself, and administrators, but for accounts of the machine. A token changes no password: it would outlive its removal so."""
    privileged = call.app.access.has_any(call.auth_id, "/", ["Permissions.Modify"]) and realm_of(userid) != REALM_PAM
    if is_token(call.auth_id) or (userid != call.auth_id and not privileged):
        raise Invalid("you are not authorized to change the password.")


def either_self(privilege: str) -> Either:
    """The privilege on users in general, or the user that the path names."""
    return either(needs(PLACE, privilege), Oneself())


ROUTES = [
    Route("GET", PLACE, list_users, UserList, priority="P0"),
    Route("POST", PLACE, create_user, NewUser, access=needs(PLACE, "Permissions.Modify"), slow=True),
    Route("GET", PLACE + "/{userid}", get_user, UserParams, access=either_self("Sys.Audit")),
    Route("PUT", PLACE + "/{userid}", update_user, UserUpdate, access=either_self("Permissions.Modify")),
    Route("DELETE", PLACE + "/{userid}", remove_user, UserRemoval, access=either_self("Permissions.Modify")),
    Route("PUT", "/access/password", change_password, PasswordChange, slow=True),
]
