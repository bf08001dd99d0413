"""How a value or an error is written: the JSON and the ExtJS form of an answer.

Source: spec rest-api §3.1, §3.2, §3.3. Errors are plain text in the JSON form although the content type says JSON; in the ExtJS form
they are HTTP 200 with the status inside.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_json

from platevault.api.route import Encoded, Output, RawReply, Reply

JSON_TYPE = "application/json;charset=UTF-8"
CLEAR_COOKIE = ("set-cookie", "__Host-PBSAuthCookie=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Lax; HttpOnly; Path=/;")
AUTHENTICATION_DELAY_S = 3.0  # some clients give up after 5 s, so it may never be more
PERMISSION_DELAY_S = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. body: bytes, or pieces of `length` bytes in all. delay_s: to wait before the first byte."""

    status: int
    body: bytes | Iterator[bytes] = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    delay_s: float = 0.0


def success(value: Any, output: Output) -> Answer:
    """The answer of a handler that returned `value`."""
    if isinstance(value, RawReply):
        return Answer(value.status, value.body, value.content_type, value.headers, value.length)
    reply = value if isinstance(value, Reply) else Reply(value)
    beside = reply.beside()
    if output is Output.EXTJS:
        beside |= {"success": True, "status": 200}
    data = reply.data.json if isinstance(reply.data, Encoded) else encode(reply.data)
    rest = b"," + encode(beside)[1:] if beside else b"}"
    return Answer(200, b'{"data":' + data + rest, JSON_TYPE)


def failure(status: int, text: str, output: Output, errors: Mapping[str, str] | None = None) -> Answer:
    """The answer to a request that failed in the API. errors: of wrong parameters, by name."""
    delay_s = AUTHENTICATION_DELAY_S if status == 401 else 0.0
    if output is Output.EXTJS:
        message = "parameter verification errors" if errors else text
        content = {"message": message, "errors": errors or {}, "success": False, "status": status}
        return Answer(200, encode(content), JSON_TYPE, delay_s=delay_s)
    headers = (CLEAR_COOKIE,) if status == 401 else ()
    return Answer(status, text.encode(errors="replace"), JSON_TYPE, headers, delay_s=delay_s)


def not_authenticated() -> Answer:
    """No or bad credentials: a real 401 in both forms."""
    return Answer(401, b"authentication failed", headers=(CLEAR_COOKIE,), delay_s=AUTHENTICATION_DELAY_S)


def encode(value: Any) -> bytes:
    """JSON as UTF-8, without blanks. What is no Unicode text (a file name from a disk) is replaced, never sent raw."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (UnicodeError, ValueError):
        return to_json(_clean(value), inf_nan_mode="null")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def delayed(answer: Answer, delay_s: float) -> Answer:
    return replace(answer, delay_s=delay_s)


def deflated(answer: Answer, accept_encoding: str) -> Answer:
    """The same answer in zlib format when the client asked for it. Other compressions are not used; streams stay as they are."""
    if not answer.body or not isinstance(answer.body, bytes) or not _accepts_deflate(accept_encoding):
        return answer
    return replace(answer, body=zlib.compress(answer.body, 1), headers=(*answer.headers, ("content-encoding", "deflate")))


def _accepts_deflate(accept_encoding: str) -> bool:
    return any(item.split(";")[0].strip() == "deflate" for item in accept_encoding.split(","))
