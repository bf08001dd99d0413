"""What an endpoint is: one value of the route table, what its handler is given, and what it may answer with.

Handlers are blocking functions that run in a bounded thread pool; they take the call and its checked parameters, and return the value
for `data`, a `Reply` when more stands beside it, or a `RawReply` that is sent as it is. They raise the families of `errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from platevault.api.access_rules import AUTHENTICATED, PUBLIC, Rule
from platevault.api.parameters import NoParams, Params
from platevault.services.auth import Identity

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from platevault.api.services import Services

Method = Literal["GET", "POST", "PUT", "DELETE"]


class Output(StrEnum):
    """The two forms of an answer, the second component of every path below `/api2`."""

    JSON = "json"
    EXTJS = "extjs"


class Kind(StrEnum):
    """How the body is used.

    sync: parameters come from path, query and body. raw: from path and query, there is no body to read. upload: the same, and the body,
    of any size up to the route's `max_body_bytes`, is data. upgrade: like raw, and the handler is a coroutine that may take the connection
    over from HTTP.
    """

    SYNC = "sync"
    RAW = "raw"
    UPLOAD = "upload"
    UPGRADE = "upgrade"


@dataclass(slots=True)
class Call:
    """One request that has passed authentication and the declared permission.

    path: the placeholders of the route, decoded. body: the bytes of an upload. client_address: of the peer, empty when unknown.
    """

    app: Services
    route: Route
    identity: Identity | None
    path: Mapping[str, str]
    output: Output
    headers: Mapping[str, str]
    client_address: str = ""
    body: bytes = b""
    scope: Scope = field(default_factory=dict)
    receive: Receive | None = None
    send: Send | None = None

    @property
    def auth_id(self) -> str:
        """The caller: a user, or an API token. Only public endpoints may be called without one, and they do not ask."""
        assert self.identity is not None
        return self.identity.auth_id


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value for `data` that is JSON already."""

    json: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A value for `data` with what stands beside it on the top level of the envelope."""

    data: Any
    digest: str | None = None
    total: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def beside(self) -> dict[str, Any]:
        """The top-level keys besides `data`."""
        named = {"digest": self.digest, "total": self.total}
        return {**{key: value for key, value in named.items() if value is not None}, **self.extra}


@dataclass(frozen=True, slots=True)
class RawReply:
    """An answer without envelope.

    body: bytes, or pieces that are taken one after the other in the thread pool. length: of all pieces in bytes, when it is known.
    """

    body: bytes | Iterator[bytes]
    content_type: str | None = "application/octet-stream"
    status: int = 200
    length: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Taken:
    """What a handler of kind `upgrade` returns when the connection has left HTTP: nothing more is sent."""


TAKEN = Taken()

Handler = Callable[[Call, Any], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `{name}` components are placeholders, and parameters of the same name in `params`.

    missing: the status when the thing named by the path does not exist (the reference server answers reads with 400, most removals
    with 404). priority: P0 for what virtualisation hosts, backup clients and monitoring call, P1 for daily administration. slow: it
    takes much longer than others, and waits with its like in a lane of its own: nobody keeps the rest waiting with logins.
    """

    method: Method
    path: str
    handler: Handler
    params: type[Params] = NoParams
    access: Rule = AUTHENTICATED
    kind: Kind = Kind.SYNC
    priority: Literal["P0", "P1", "P2"] = "P1"
    missing: int = 400
    max_body_bytes: int = 0
    slow: bool = False

    @property
    def is_public(self) -> bool:
        return self.access is PUBLIC

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring, for the API document."""
        return (self.handler.__doc__ or "").strip().split("\n")[0]
