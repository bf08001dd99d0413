"""Answers the HTTP/2 requests of one session: finds the endpoint, reads its parameters, turns values and errors into responses.

Source: spec wire-protocol §2.9, §3.14, §7. Every error is answered, none ends the session, and none is a 5xx. The task log gets a line for
each refused request, and with `debug` one for each request but the uploads of chunks, of which a large backup has a million.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Generic

from platevault.api import envelope
from platevault.api.parameters import read, read_query
from platevault.api.route import Output
from platevault.api.session.bodies import MAX_PARAMETER_BYTES, Collected
from platevault.api.session.endpoint import BytesReply, Command, Endpoint, FileReply, Query, Receiver, S, Table
from platevault.api.statuses import WithStatus
from platevault.errors import PlatevaultError
from platevault.services.body_memory import BodyMemory
from platevault.services.read_session import ChunkNotAllowed
from platevault.wire.http2.message import BINARY_TYPE, FileBody, Request, Response, Upload

NOT_ALLOWED_DELAY_S = 3.0
MAX_LINES = 10_000  # about requests, in the log of one task: a client that only fails must not fill the state database
MAX_LINE_CHARACTERS = 1000
SHORTEST_TEXT = 8  # one known client slices the first 8 bytes of every answer, also of errors
UNEXPECTED_TEXT = "internal error, the log of the server has the details"

log = logging.getLogger(__name__)


class NoSuchRequest(WithStatus):
    """There is no such path, or it has no such method."""

    def __init__(self, path: str) -> None:
        super().__init__(404, f"Path '{path[:128]}' not found.")


class RequestHandler(Generic[S]):
    """A `Handler` of the wire for one session. Used by the thread of its connection."""

    def __init__(self, session: S, table: Table[S], memory: BodyMemory, *, debug: bool) -> None:
        self._session, self._table, self._memory, self._debug = session, table, memory, debug
        self._lines_left = MAX_LINES

    def __call__(self, request: Request) -> Upload | Response:
        try:
            endpoint = self._find(request)
            if self._debug and not endpoint.is_frequent:
                self._log(f"{request.method} {request.path}")
            return self._begin(request, endpoint)
        except Exception as error:
            return self._refuse(request, error)

    def _find(self, request: Request) -> Endpoint[S]:
        components = [part for part in request.path.split("/") if part]
        if any(part.startswith(".") for part in components):
            raise WithStatus(400, "path contains illegal components")
        found = self._table.get((request.method, "/".join(components)))
        if found is None:
            raise NoSuchRequest(request.path)
        return found

    def _begin(self, request: Request, endpoint: Endpoint[S]) -> Upload | Response:
        if isinstance(endpoint, Query):
            parameters = read_query(endpoint.params, {}, request.query)
            return self._respond(request, endpoint.answer(self._session, parameters))
        receiver: Receiver
        if isinstance(endpoint, Command):
            receiver = Collected(MAX_PARAMETER_BYTES, self._memory, partial(self._run, request, endpoint))
        else:
            receiver = endpoint.receive(self._session, read_query(endpoint.params, {}, request.query))
        return _Upload(receiver, partial(self._respond, request), partial(self._refuse, request))

    def _run(self, request: Request, command: Command[S], body: bytearray) -> Any:
        parameters = read(command.params, {}, request.query, request.headers.get("content-type"), bytes(body))
        return command.answer(self._session, parameters)

    def _respond(self, request: Request, value: Any) -> Response:
        if isinstance(value, FileReply):
            size = os.fstat(value.file.fileno()).st_size
            return Response(200, FileBody(value.file, size, with_length=value.with_length), BINARY_TYPE)
        if isinstance(value, BytesReply):
            return Response(200, value.content, BINARY_TYPE)
        answer = envelope.deflated(envelope.success(value, Output.JSON), request.headers.get("accept-encoding", ""))
        assert isinstance(answer.body, bytes)
        return Response(answer.status, answer.body, answer.content_type, answer.headers)

    def _refuse(self, request: Request, error: Exception) -> Response:
        status, text = _status_of(error), error.message if isinstance(error, PlatevaultError) else UNEXPECTED_TEXT
        if not isinstance(error, PlatevaultError):
            log.error("%s %s failed", request.method, request.path, exc_info=error)
        self._log(f"{request.method} {request.path}: {status} {HTTPStatus(status).phrase}: {text}")
        delay_s = NOT_ALLOWED_DELAY_S if isinstance(error, ChunkNotAllowed) else 0.0
        return Response(status, text.encode(errors="replace").ljust(SHORTEST_TEXT), delay_s=delay_s)

    def _log(self, line: str) -> None:
        self._lines_left -= 1
        if self._lines_left >= 0:
            self._session.task.log(_printable(line))
        elif self._lines_left == -1:
            self._session.task.log("too many requests, the rest is not logged")


class _Upload:
    """Gives a body to its receiver and makes the one response of the request."""

    __slots__ = ("_receiver", "_refuse", "_respond")

    def __init__(self, receiver: Receiver, respond: Callable[[Any], Response], refuse: Callable[[Exception], Response]) -> None:
        self._receiver, self._respond, self._refuse = receiver, respond, refuse

    def feed(self, piece: memoryview) -> Response | None:
        try:
            self._receiver.feed(piece)
        except Exception as error:
            return self._refuse(error)
        return None

    def finish(self) -> Response:
        try:
            return self._respond(self._receiver.finish())
        except Exception as error:
            return self._refuse(error)

    def abort(self) -> None:
        self._receiver.abort()


def _status_of(error: Exception) -> int:
    """The few errors that are not 400 (spec §7)."""
    if isinstance(error, WithStatus):
        return error.status
    if isinstance(error, ChunkNotAllowed):
        return 401
    return 400


def _printable(text: str) -> str:
    """One line of at most MAX_LINE_CHARACTERS: what a client sends must not be able to look like lines of its own."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_LINE_CHARACTERS])
