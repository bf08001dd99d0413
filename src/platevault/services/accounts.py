"""Making and removing users and API tokens together with all that hangs on them: passwords, secrets, permissions.

Source: spec rest-api §10.2. The access list never names somebody who is gone: a new user of the same name must not inherit anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from platevault.config.acl import Acl
from platevault.config.identifiers import user_of
from platevault.config.users import Token, Tokens, User, Users
from platevault.errors import Conflict, PlatevaultError
from platevault.services.auth import Auth


@dataclass(frozen=True, slots=True)
class Accounts:
    """The sections that an account is made of."""

    users: Users
    tokens: Tokens
    acl: Acl
    auth: Auth

    def create_user(self, user: User, password: str | None = None, *, digest: str | None = None) -> None:
        """Raises EntryExists, StaleDigest; Invalid for a password of a wrong length, and then there is no user."""
        self.users.insert(user, digest=digest)
        if password is None:
            return
        try:
            self.auth.passwords.set(user.userid, password)
        except PlatevaultError:
            self.users.delete(user.userid)
            raise

    def remove_user(self, userid: str, *, digest: str | None = None) -> None:
        """The user, its tokens, their permissions and secrets. Raises NoSuchEntry, StaleDigest."""
        self.users.delete(userid, digest=digest)
        for token in self.tokens.of(userid):
            self._forget_token(token.tokenid)
        self.auth.passwords.forget(userid)
        self.acl.delete_where(lambda entry: user_of(entry.auth_id) == userid)

    def create_token(self, token: Token, *, digest: str | None = None) -> str:
        """Returns the secret, which nobody can see again. Raises NoSuchEntry for an unknown user, EntryExists, StaleDigest."""
        self.users.get(token.user)
        if self.tokens.find(token.tokenid) is not None:
            raise Conflict(f"token '{token.name}' for user '{token.user}' already exists.")
        self.tokens.insert(token, digest=digest)
        return self.auth.new_token_secret(token.tokenid)

    def remove_token(self, tokenid: str, *, digest: str | None = None) -> None:
        """The token, its permissions and its secret. Raises NoSuchEntry, StaleDigest."""
        self.tokens.delete(tokenid, digest=digest)
        self._forget_token(tokenid)
        self.acl.delete_where(lambda entry: entry.auth_id == tokenid)

    def _forget_token(self, tokenid: str) -> None:
        self.auth.forget_token_secret(tokenid)
        if self.tokens.find(tokenid) is not None:
            self.tokens.delete(tokenid)
