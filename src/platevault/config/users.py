"""Users and API tokens."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.config.database import Database
from platevault.config.identifiers import SUPERUSER, token_name, user_of
from platevault.config.sections import Section


@dataclass(frozen=True, slots=True)
class User:
    """A user; None means: not set, and then enabled and never expiring. `expire` in seconds since the epoch, 0 is never."""

    userid: str
    comment: str | None = None
    enable: bool | None = None
    expire: int | None = None
    firstname: str | None = None
    lastname: str | None = None
    email: str | None = None

    @property
    def key(self) -> str:
        return self.userid

    def is_active(self, now: float) -> bool:
        return self.enable is not False and not (self.expire and self.expire <= now)


@dataclass(frozen=True, slots=True)
class Token:
    """An API token; its secret is kept elsewhere (`config.secrets`)."""

    tokenid: str
    comment: str | None = None
    enable: bool | None = None
    expire: int | None = None

    @property
    def key(self) -> str:
        return self.tokenid

    @property
    def name(self) -> str:
        return token_name(self.tokenid) or ""

    @property
    def user(self) -> str:
        return user_of(self.tokenid)

    def is_active(self, now: float) -> bool:
        return self.enable is not False and not (self.expire and self.expire <= now)


class Users(Section[User]):
    """All users. `root@pam` always exists."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "user", User, label="user", digest_with=["token"])
        if self.find(SUPERUSER) is None:
            self.put(User(SUPERUSER, enable=True))


class Tokens(Section[Token]):
    """All API tokens."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "token", Token, label="token", digest_with=["user"])

    def of(self, userid: str) -> list[Token]:
        return [token for token in self.all() if token.user == userid]
