"""API tokens of a user."""

from __future__ import annotations

from typing import Any, Literal

from platevault.api import records
from platevault.api.route import Call, Reply, Route
from platevault.api.routes.users import DEFAULTS, PLACE, UserParams, either_self
from platevault.api.types import Comment, Digest, Natural, TokenName
from platevault.config.users import Token
from platevault.errors import NotFound

LIST = PLACE + "/{userid}/token"
ONE = LIST + "/{token-name}"


class TokenParams(UserParams):
    token_name: TokenName

    @property
    def tokenid(self) -> str:
        return f"{self.userid}!{self.token_name}"


class TokenFields(TokenParams):
    comment: Comment | None = None
    enable: bool | None = None
    expire: Natural | None = None
    digest: Digest | None = None


class TokenUpdate(TokenFields):
    delete: list[Literal["comment"]] | None = None
    regenerate: bool = False


class TokenRemoval(TokenParams):
    digest: Digest | None = None


def list_tokens(call: Call, p: UserParams) -> Reply:
    """The tokens of a user, never their secrets."""
    tokens = call.app.accounts.tokens
    found = [records.shown(token) | {"token-name": token.name} for token in tokens.of(p.userid)]
    return Reply(found, digest=tokens.digest())


def get_token(call: Call, p: TokenParams) -> Reply:
    """One token."""
    tokens = call.app.accounts.tokens
    return Reply(records.shown(tokens.get(p.tokenid)), digest=tokens.digest())


def create_token(call: Call, p: TokenFields) -> dict[str, str]:
    """Create a token; its secret is told now and never again."""
    token = Token(p.tokenid, **records.given(p, Token))
    return {"tokenid": p.tokenid, "value": call.app.accounts.create_token(token, digest=p.digest)}


def update_token(call: Call, p: TokenUpdate) -> dict[str, Any] | None:
    """Change a token, or give it a new secret."""
    tokens = call.app.accounts.tokens
    tokens.update(records.updated(tokens.get(p.tokenid), p, delete=p.delete, defaults=DEFAULTS), digest=p.digest)
    return {"secret": call.app.auth.new_token_secret(p.tokenid)} if p.regenerate else None


def remove_token(call: Call, p: TokenRemoval) -> None:
    """Remove a token with its permissions."""
    if call.app.accounts.tokens.find(p.tokenid) is None:
        raise NotFound(f"token '{p.token_name}' of user '{p.userid}' does not exist.")
    call.app.accounts.remove_token(p.tokenid, digest=p.digest)


_SEE, _CHANGE = either_self("Sys.Audit"), either_self("Permissions.Modify")

ROUTES = [
    Route("GET", LIST, list_tokens, UserParams, access=_SEE),
    Route("GET", ONE, get_token, TokenParams, access=_SEE),
    Route("POST", ONE, create_token, TokenFields, access=_CHANGE),
    Route("PUT", ONE, update_token, TokenUpdate, access=_CHANGE),
    Route("DELETE", ONE, remove_token, TokenRemoval, access=_CHANGE),
]
