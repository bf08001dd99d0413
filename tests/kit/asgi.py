"""Calls an ASGI application in this process: one event loop per request, nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from platevault.api.application import Application
from platevault.wire.http1 import EXTENSION

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """One answer, kept whole. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def envelope(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def data(self) -> Any:
        """The value of a success; anything else fails the test with the server's text."""
        assert self.status == 200, f"{self.status} {self.text}"
        return self.envelope["data"]


def send(application: Application, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """The answer to one request. Of a body, a Content-Length is sent unless the headers say otherwise."""
    return asyncio.run(_send(application, method, target, headers, body))


async def _no_upgrade(headers: object) -> None:
    """There is no connection that could leave HTTP: requests that get so far belong into tests over a real one."""
    raise AssertionError("the upgrade was granted")


async def _send(application: Application, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    path, _, query = target.partition("?")
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if body and not any(name in (b"content-length", b"transfer-encoding") for name, _ in fields):
        fields.append((b"content-length", str(len(body)).encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": fields,
        "client": ("192.0.2.1", 40000),
        "extensions": {EXTENSION: _no_upgrade},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, collect)
    start = sent[0]
    names = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], names, b"".join(message.get("body", b"") for message in sent[1:]))


@dataclass(frozen=True)
class Session:
    """Requests with fixed headers; those of one user or token."""

    application: Application
    auth_id: str
    headers: Mapping[str, str]

    def get(self, path: str, query: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.request("GET", path, query=query, **options)

    def delete(self, path: str, query: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.request("DELETE", path, query=query, **options)

    def post(self, path: str, form: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.request("POST", path, form=form, **options)

    def put(self, path: str, form: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.request("PUT", path, form=form, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        json_body: object = None,
        raw: bytes | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        output: str = "json",
    ) -> Answer:
        """One API request; at most one of form, json_body and raw is the body."""
        fields = {**self.headers, **(headers or {})}
        body = raw or b""
        if form is not None:
            body, content_type = encode(form).encode(), content_type or FORM
        elif json_body is not None:
            body, content_type = json.dumps(json_body).encode(), content_type or JSON
        if content_type:
            fields["content-type"] = content_type
        target = f"/api2/{output}{path}" + (f"?{encode(query)}" if query else "")
        return send(self.application, method, target, fields, body)


def encode(parameters: Mapping[str, Any], errors: str = "strict") -> str:
    """Form or query text: booleans as 1 and 0, lists as repeated keys. errors: what to do with what is no Unicode text."""
    pairs = [(name, item) for name, value in parameters.items() for item in (value if isinstance(value, (list, tuple)) else [value])]
    return urlencode([(name, int(item) if isinstance(item, bool) else item) for name, item in pairs], errors=errors)
