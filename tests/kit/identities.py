"""Users, tokens, passwords and permissions on a temporary state database, without a server around them."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher

from platevault.clock import ManualClock
from platevault.config.acl import Acl
from platevault.config.database import open_database
from platevault.config.secrets import Secrets
from platevault.config.users import Token, Tokens, User, Users
from platevault.services.access import Access
from platevault.services.auth import Auth
from platevault.services.passwords import Passwords

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # half a millisecond instead of a hundred


class Identities:
    """The clock stands still unless it is moved."""

    def __init__(self, where: Path) -> None:
        self.clock = ManualClock()
        self.database = open_database(f"sqlite:///{where / 'state.db'}")
        self.users, self.tokens = Users(self.database), Tokens(self.database)
        self.secrets, self.acl = Secrets(self.database), Acl(self.database)
        passwords = Passwords(self.secrets, QUICK)
        passwords._decoy = QUICK.hash("nobody").encode()
        self.auth = Auth(self.database, self.users, self.tokens, self.secrets, passwords, self.clock)
        self.access = Access(self.acl, self.users, self.tokens, self.clock)

    def close(self) -> None:
        self.database.close()

    def user(self, user_id: str, password: str | None = None, *, enable: bool | None = None, expire: int | None = None) -> str:
        self.users.insert(User(user_id, enable=enable, expire=expire))
        if password is not None:
            self.auth.passwords.set(user_id, password)
        return user_id

    def token(self, tokenid: str, *, enable: bool | None = None, expire: int | None = None) -> str:
        """A token of a user that exists; its secret."""
        self.tokens.insert(Token(tokenid, enable=enable, expire=expire))
        return self.auth.new_token_secret(tokenid)
