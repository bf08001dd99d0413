"""Reads the body of a request, with a limit."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Receive

from platevault.errors import Invalid

MAX_PARAMETER_BYTES = 512 * 1024


class TooLarge(Invalid):
    """A body above the limit."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes; of a larger one nothing is kept. Raises TooLarge, ClientGone."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge("Request body too large")
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
