"""Requests of one backup or reader session, with the server's refusals turned into errors.

Source: spec wire-protocol §2.9, §6.8: parameters travel in the query, index appends as JSON body; after any error the caller drops the
connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from platevault.client.refusal import refusal
from platevault.errors import Corrupt
from platevault.wire.http2.call import Answer
from platevault.wire.http2.client import ClientConnection

BINARY = "application/octet-stream"
JSON = "application/json"
MAX_JSON_BYTES = 1024 * 1024  # answers that are not files are short; texts of errors too
Buffers = bytes | bytearray | memoryview | Iterable[bytes | memoryview]


class Connection(Protocol):
    """What a session needs of HTTP/2: requests from any thread, many in flight."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Buffers = b"",
        content_type: str | None = None,
        max_bytes: int = ...,
    ) -> Future[Answer]: ...

    def close(self) -> None: ...


_shape: type[Connection] = ClientConnection


class Session:
    """Thread-safe. Close it to end the session; without `finish` the server then forgets the backup."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Drop the connection. Requests in flight fail with Unavailable. Harmless twice."""
        self._connection.close()

    def send(
        self, method: str, path: str, query: Mapping[str, object], body: Buffers = b"", *, content_type: str = BINARY
    ) -> Future[Answer]:
        """Send a request and return at once; `answered` reads the result. The body may be reused on return."""
        return self._connection.request(method, path, query=query, body=body, content_type=content_type, max_bytes=MAX_JSON_BYTES)

    def send_get(self, path: str, query: Mapping[str, object], *, max_bytes: int) -> Future[Answer]:
        """Ask for something of at most `max_bytes` and return at once; `answered` reads the result."""
        return self._connection.request("GET", path, query=query, max_bytes=max_bytes)

    def fetch(self, doing: str, path: str, query: Mapping[str, object], *, max_bytes: int) -> bytes | bytearray:
        """The raw body of a GET. Raises Corrupt when it is larger than `max_bytes`."""
        return answered(doing, self.send_get(path, query, max_bytes=max_bytes))

    def call(self, doing: str, method: str, path: str, query: Mapping[str, object] | None = None) -> Any:
        """`data` of the answer to a request without body."""
        return _data(doing, answered(doing, self._connection.request(method, path, query=query, max_bytes=MAX_JSON_BYTES)))

    def call_json(self, doing: str, method: str, path: str, parameters: Mapping[str, object]) -> Any:
        """`data` of the answer to a request whose parameters are a JSON body."""
        body = json.dumps(parameters, separators=(",", ":")).encode()
        pending = self._connection.request(method, path, body=body, content_type=JSON, max_bytes=MAX_JSON_BYTES)
        return _data(doing, answered(doing, pending))


def answered(doing: str, pending: Future[Answer]) -> bytes | bytearray:
    """Wait for an answer and return its body. Raises a Refused for any status but 200, Unavailable when the connection is lost."""
    answer = pending.result()
    if answer.status != 200:
        raise refusal(doing, answer.status, answer.body)
    return answer.body


def _data(doing: str, body: bytes | bytearray) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{doing}: the answer is no JSON object with the key `data`") from error
