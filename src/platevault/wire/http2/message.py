"""What a handler of HTTP/2 requests gets and gives. Knows nothing of backups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

JSON_TYPE = "application/json;charset=UTF-8"
BINARY_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` and `query` are raw text of the target, header names are lower case, `accepts_body` is False
    when the peer ended the stream with its headers."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    accepts_body: bool = True


@dataclass(slots=True)
class FileBody:
    """A response body read from an open file piece by piece as the peer's windows allow; the engine always closes it.

    `size` in bytes; `with_length`: announce it as content-length.
    """

    file: BinaryIO
    size: int
    with_length: bool = False


@dataclass(slots=True)
class Response:
    """One answer. `delay_s` holds it back (answers to refused credentials) without stopping other requests."""

    status: int
    body: bytes | memoryview | FileBody = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())
    delay_s: float = 0.0


class Upload(Protocol):
    """Receiver of one request body, called in the thread of the connection."""

    def feed(self, piece: memoryview) -> Response | None:
        """Take a piece; it is valid during the call only. An answer ends the upload early, the rest is thrown away."""

    def finish(self) -> Response:
        """The body is complete."""
        ...

    def abort(self) -> None:
        """The peer reset the request or is gone. Never called after `finish` or an early answer."""


Handler = Callable[[Request], "Upload | Response"]
