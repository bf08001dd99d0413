"""How requests inside a session are read and answered (spec wire-protocol §2.9), without a connection."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from platevault.api.parameters import Params
from platevault.api.session.bodies import Collected, Discarded
from platevault.api.session.endpoint import BytesReply, Command, FileReply, Query, Sending, Table
from platevault.api.session.requests import RequestHandler
from platevault.api.statuses import WithStatus
from platevault.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from platevault.services.body_memory import BodyMemory
from platevault.services.read_session import ChunkNotAllowed
from platevault.wire.http2.message import FileBody, Request, Response

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class Numbers(Params):
    number: int
    item_list: list[str] = Field(default_factory=list)
    flag: bool = False


@dataclass
class FakeTask:
    lines: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class FakeSession:
    """Answers with what it was asked."""

    task: Any = field(default_factory=FakeTask)
    raises: Exception | None = None
    file: Path | None = None

    def end(self, trouble: str | None) -> None:
        raise AssertionError("nothing ends here")

    def echo(self, p: Numbers) -> Any:
        if self.raises is not None:
            raise self.raises
        return [p.number, p.item_list, p.flag]


def collect(session: FakeSession, p: Numbers) -> Collected:
    return Collected(p.number, MEMORY, lambda body: bytes(body).decode())


def show(session: FakeSession, p: Any) -> FileReply:
    assert session.file is not None
    return FileReply(session.file.open("rb", buffering=0), with_length=True)


MEMORY = BodyMemory(1000)
TABLE: Table[FakeSession] = {
    ("GET", ""): Query(lambda session, p: []),
    ("GET", "query"): Query(FakeSession.echo, Numbers),
    ("POST", "command"): Command(FakeSession.echo, Numbers),
    ("POST", "frequent"): Command(FakeSession.echo, Numbers, is_frequent=True),
    ("POST", "collect"): Sending(collect, Numbers),
    ("POST", "discard"): Sending(lambda session, p: Discarded()),
    ("GET", "file"): Query(show),
    ("GET", "bytes"): Query(lambda session, p: BytesReply(b"raw")),
}


def ask(
    session: FakeSession, method: str, target: str, body: bytes = b"", content_type: str | None = None, *, debug: bool = False
) -> Response:
    """The response to one request, whose body comes in two pieces."""
    path, _, query = target.partition("?")
    headers = {} if content_type is None else {"content-type": content_type}
    handled = RequestHandler(session, TABLE, MEMORY, debug=debug)(Request(method, path, query, headers))
    if isinstance(handled, Response):
        return handled
    for piece in (body[:3], body[3:]):
        early = handled.feed(memoryview(piece))
        if early is not None:
            return early
    return handled.finish()


def data(response: Response) -> Any:
    assert response.status == 200, response.body
    assert isinstance(response.body, bytes)
    assert response.content_type == "application/json;charset=UTF-8"
    return json.loads(response.body)["data"]


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        ("/command?number=5&item-list=a&item-list=b&flag=on", b"", FORM),
        ("/command?number=5&item-list=a&item-list=b&flag=TRUE", b"", None),
        ("/command?number=5&_dc=99", b"item-list=a&item-list=b&flag=1", FORM),
        ("/command", b"number=5&item-list=a&item-list=b&flag=yes", FORM),
        ("/command", b'{"number":5,"item-list":["a","b"],"flag":true}', JSON),
        ("/command?number=7", b'{"number":5,"item-list":["a","b"],"flag":true}', JSON + "; charset=UTF-8"),
        ("//command", b'{"number":5,"item-list":["a","b"],"flag":true}', JSON),
    ],
)
def test_parameters_come_in_many_ways(target: str, body: bytes, content_type: str | None) -> None:
    assert data(ask(FakeSession(), "POST", target, body, content_type)) == [5, ["a", "b"], True]


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        ("/command", b"", JSON),
        ("/command?number=5", b"", JSON),
        ("/command", b'{"number":"5"}', JSON),
        ("/command", b'{"number":5.0}', JSON),
        ("/command", b'{"number":5,"extra":1}', JSON),
        ("/command", b"[5]", JSON),
        ("/command", b'{"number":5', JSON),
        ("/command", b"\xff", JSON),
        ("/command", b"number=x", FORM),
        ("/command?number=5&number=5", b"", FORM),
        ("/command?number=5", b"number=5", FORM),
        ("/command?number=5&extra=1", b"", FORM),
        ("/command?number=5", b"x", "text/plain"),
        ("/command?number=%ff", b"", FORM),
    ],
)
def test_wrong_parameters_are_400(target: str, body: bytes, content_type: str) -> None:
    session = FakeSession()
    response = ask(session, "POST", target, body, content_type)
    assert response.status == 400
    assert session.task.lines[0].startswith("POST /command: 400 Bad Request: ")


def test_queries_take_nothing_from_the_body() -> None:
    assert data(ask(FakeSession(), "GET", "/query?number=1", content_type="text/plain")) == [1, [], False]
    assert ask(FakeSession(), "POST", "/collect", b"number=3", FORM).status == 400


def test_collected_bodies() -> None:
    assert data(ask(FakeSession(), "POST", "/collect?number=6", b"abcdef", "text/plain")) == "abcdef"
    assert ask(FakeSession(), "POST", "/collect?number=5", b"abcdef").status == 400
    assert ask(FakeSession(), "POST", "/collect?number=5000", b"a" * 1001).status == 400  # more than the connection has room for
    assert data(ask(FakeSession(), "POST", "/discard", b"a" * 5000)) is None
    assert MEMORY.take(1000)
    MEMORY.give(1000)


def test_a_body_that_breaks_off_gives_its_memory_back() -> None:
    handled = RequestHandler(FakeSession(), TABLE, MEMORY, debug=False)(Request("POST", "/collect", "number=900", {}))
    assert not isinstance(handled, Response)
    assert handled.feed(memoryview(bytes(900))) is None
    assert not MEMORY.take(200)
    handled.abort()
    assert MEMORY.take(1000)
    MEMORY.give(1000)


@pytest.mark.parametrize(
    ("error", "status", "delay_s"),
    [
        (Invalid("it is wrong"), 400, 0.0),
        (NotFound("it is missing"), 400, 0.0),
        (Conflict("it is there"), 400, 0.0),
        (Corrupt("it is broken"), 400, 0.0),
        (Unavailable("disk is full"), 400, 0.0),
        (WithStatus(404, "it is missing"), 404, 0.0),
        (ChunkNotAllowed("not for you"), 401, 3.0),
        (ValueError("inside"), 400, 0.0),
        (Invalid("no"), 400, 0.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors(error: Exception, status: int, delay_s: float) -> None:
    session = FakeSession(raises=error)
    response = ask(session, "GET", "/query?number=1")
    assert (response.status, response.delay_s, response.content_type) == (status, delay_s, None)
    assert isinstance(response.body, bytes)
    assert len(response.body) >= 8
    assert b"inside" not in response.body
    assert len(session.task.lines) == 1


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/command", 404),
        ("POST", "/query", 404),
        ("GET", "/no", 404),
        ("GET", "/./query", 400),
        ("HEAD", "/", 404),
        ("GET", "/", 200),
    ],
)
def test_routing(method: str, target: str, status: int) -> None:
    assert ask(FakeSession(), method, target).status == status


def test_answers_that_are_bytes(tmp_path: Path) -> None:
    session = FakeSession(file=tmp_path / "file")
    (tmp_path / "file").write_bytes(b"content")
    response = ask(session, "GET", "/file")
    assert isinstance(response.body, FileBody)
    assert (response.body.size, response.body.with_length, response.content_type) == (7, True, "application/octet-stream")
    response.body.file.close()
    assert ask(session, "GET", "/bytes").body == b"raw"


def test_compression_when_asked_for() -> None:
    handler = RequestHandler(FakeSession(), TABLE, MEMORY, debug=False)
    for accepted, packed in (("deflate", True), ("gzip, deflate;q=0.5", True), ("gzip", False), ("", False)):
        response = handler(Request("GET", "/query", "number=1", {"accept-encoding": accepted}))
        assert isinstance(response, Response)
        assert isinstance(response.body, bytes)
        assert (("content-encoding", "deflate") in response.headers) == packed
        assert json.loads(zlib.decompress(response.body) if packed else response.body) == {"data": [1, [], False]}


def test_what_is_logged() -> None:
    session = FakeSession()
    for debug in (False, True):
        ask(session, "GET", "/query?number=1", debug=debug)
        ask(session, "POST", "/frequent?number=1", debug=debug)
    assert session.task.lines == ["GET /query"]
