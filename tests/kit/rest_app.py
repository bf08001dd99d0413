"""A REST server whose answers the test decides, and that remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    """One request. `path` is raw, header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """Status and body of an answer; a body that is no bytes becomes `{"data": body}`."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps({"data": self.body}).encode()


class RestApp:
    """`answer` decides; a login is answered with a ticket `TICKET-n` unless it is replaced."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.logins = 0
        self.answer: Callable[[Asked], Reply] = lambda asked: Reply("fine")
        self.login: Callable[[Asked], Reply] = self._login

    def _login(self, asked: Asked) -> Reply:
        self.logins += 1
        name = asked.json["username"]
        return Reply({"username": name, "ticket": f"PBS:{name}:TICKET-{self.logins}::x+/=", "CSRFPreventionToken": f"CSRF-{self.logins}"})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = {key: ",".join(values) for key, values in parse_qs(scope["query_string"].decode(), keep_blank_values=True).items()}
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(scope["method"], scope["raw_path"].decode(), query, headers, body)
        self.asked.append(asked)
        reply = self.login(asked) if asked.path.endswith("/access/ticket") else self.answer(asked)
        fields = [(name.encode(), value.encode()) for name, value in reply.headers]
        raw = reply.raw()
        await send({"type": "http.response.start", "status": reply.status, "headers": [(b"content-length", b"%d" % len(raw)), *fields]})
        await send({"type": "http.response.body", "body": raw})
