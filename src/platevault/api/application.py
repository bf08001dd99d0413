"""The ASGI application: target, route, authentication, permission, parameters, handler, answer, in this order.

Everything that may block runs in one bounded thread pool; the event loop only reads the request, waits out the delays of refusals and
sends. A request is one visit of the pool when it has no body, and two when it has one: nothing is read for a caller who is not known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from platevault.api import envelope, request_path
from platevault.api.envelope import Answer
from platevault.api.parameters import WrongParameters, read, read_query, utf8
from platevault.api.request_body import MAX_PARAMETER_BYTES, ClientGone, TooLarge, has_body, read_body
from platevault.api.route import TAKEN, Call, Kind, Output, Route
from platevault.api.router import Router
from platevault.api.services import Services
from platevault.api.static_pages import page
from platevault.api.statuses import UNEXPECTED, UNEXPECTED_TEXT, Refused, status_of
from platevault.errors import PlatevaultError
from platevault.services.auth import AuthenticationFailed, Identity

T = TypeVar("T")

THREADS = 32
SLOW_THREADS = 4  # a password hash takes 64 MiB
log = logging.getLogger(__name__)


class Application:
    """The REST API as an ASGI application. delay_factor: 0 answers refusals at once, for tests."""

    def __init__(self, services: Services, router: Router, *, threads: int = THREADS, delay_factor: float = 1.0) -> None:
        self._services = services
        self._router = router
        self._delay_factor = delay_factor
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._slow_lane = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="api-slow")

    def close(self) -> None:
        """Wait for the handlers that run; none starts any more."""
        for pool in (self._pool, self._slow_lane):
            pool.shutdown(cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, receive, send)
        try:
            answer = await self._answer(exchange)
        except ClientGone:
            return
        if answer is not None:
            await self._send(exchange, answer)

    async def _answer(self, exchange: _Exchange) -> Answer | None:
        """The answer; None when the connection was taken over."""
        try:
            components = request_path.split(exchange.raw_path, exchange.query)
            target = request_path.api_path(components)
        except request_path.BadPath as error:
            return Answer(error.status, error.text.encode())
        if target is None:
            return page(exchange.method, components)
        if target.output not in frozenset(Output):
            return Answer(400, f"Unsupported output format '{target.output}'.".encode())
        route, place = self._router.find(exchange.method, target.components)
        return await self._in_api(exchange, target, route, place)

    async def _in_api(self, exchange: _Exchange, target: request_path.ApiPath, route: Route | None, place: dict[str, str]) -> Answer | None:
        output = Output(target.output)
        if route is None:
            return await self._in_pool(self._not_found, exchange, target, output)
        if route.kind is Kind.UPGRADE:
            return await self._upgrade(exchange, route, place, output)
        if not exchange.has_body:
            return await self._in_lane(route, self._admit_and_perform, exchange, route, place, output)
        admitted = await self._in_pool(self._admit, exchange, route, place, output)
        if isinstance(admitted, Answer):
            return admitted
        limit = route.max_body_bytes if route.kind is Kind.UPLOAD else MAX_PARAMETER_BYTES
        try:
            body = await read_body(exchange.receive, limit)
        except TooLarge as error:
            return envelope.failure(400, error.message, output)
        return await self._in_lane(route, self._perform, exchange, route, place, output, admitted, body)

    async def _in_pool(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *arguments))

    async def _in_lane(self, route: Route, function: Callable[..., T], *arguments: Any) -> T:
        pool = self._slow_lane if route.slow else self._pool
        return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *arguments))

    # --- in the thread pool -------------------------------------------------------------------------------------------------------

    def _not_found(self, exchange: _Exchange, target: request_path.ApiPath, output: Output) -> Answer:
        try:
            self._identify(exchange)
        except AuthenticationFailed:
            return envelope.not_authenticated()
        return envelope.failure(404, f"Path '{target.text}' not found.", output)

    def _admit(self, exchange: _Exchange, route: Route, place: dict[str, str], output: Output) -> Identity | Answer | None:
        """The caller, who holds the declared permission; None on public routes; the answer for everybody else."""
        if route.is_public:
            return None
        try:
            identity = self._identify(exchange)
            privileges = partial(self._services.access.privileges, identity.auth_id)
            if not route.access.allows(identity.auth_id, place, privileges):
                raise Refused("permission check failed")
        except AuthenticationFailed:
            return envelope.not_authenticated()
        except Exception as error:
            return self._failure(error, route, output)
        return identity

    def _admit_and_perform(self, exchange: _Exchange, route: Route, place: dict[str, str], output: Output) -> Answer:
        with self._services.database.one_look():
            admitted = self._admit(exchange, route, place, output)
            return admitted if isinstance(admitted, Answer) else self._perform(exchange, route, place, output, admitted, b"")

    def _perform(
        self, exchange: _Exchange, route: Route, place: dict[str, str], output: Output, identity: Identity | None, body: bytes
    ) -> Answer:
        try:
            call, parameters = self._prepare(exchange, route, place, output, identity, body)
            answer = envelope.success(route.handler(call, parameters), output)
        except Exception as error:
            answer = self._failure(error, route, output)
        return envelope.deflated(answer, exchange.headers.get("accept-encoding", ""))

    def _identify(self, exchange: _Exchange) -> Identity:
        headers = exchange.headers
        return self._services.auth.identify(
            cookie=headers.get("cookie"),
            authorization=headers.get("authorization"),
            csrf=headers.get("csrfpreventiontoken"),
            method=exchange.method,
        )

    def _prepare(
        self, exchange: _Exchange, route: Route, place: dict[str, str], output: Output, identity: Identity | None, body: bytes
    ) -> tuple[Call, Any]:
        call = Call(
            app=self._services,
            route=route,
            identity=identity,
            path=place,
            output=output,
            headers=exchange.headers,
            client_address=exchange.client_address,
            body=body,
            scope=exchange.scope,
            receive=exchange.receive,
            send=exchange.send,
        )
        query = utf8(exchange.query)
        if route.kind is Kind.SYNC:
            return call, read(route.params, place, query, exchange.headers.get("content-type"), body)
        return call, read_query(route.params, place, query)

    def _failure(self, error: Exception, route: Route, output: Output) -> Answer:
        """The answer to what a handler raised; what nobody foresaw goes to the log with its trace, never to the client."""
        if not isinstance(error, PlatevaultError):
            log.error("%s %s failed", route.method, route.path, exc_info=error)
            return envelope.failure(UNEXPECTED, UNEXPECTED_TEXT, output)
        status = status_of(error, missing=route.missing)
        answer = envelope.failure(status, error.message, output, error.errors if isinstance(error, WrongParameters) else None)
        return envelope.delayed(answer, envelope.PERMISSION_DELAY_S) if isinstance(error, Refused) else answer

    # --- on the loop --------------------------------------------------------------------------------------------------------------

    async def _upgrade(self, exchange: _Exchange, route: Route, place: dict[str, str], output: Output) -> Answer | None:
        """Admit and prepare in the pool, then let the coroutine handler decide."""
        admitted = await self._in_pool(self._admit, exchange, route, place, output)
        if isinstance(admitted, Answer):
            return admitted
        try:
            call, parameters = self._prepare(exchange, route, place, output, admitted, b"")
            value = await route.handler(call, parameters)
        except Exception as error:
            return self._failure(error, route, output)
        return None if value is TAKEN else envelope.success(value, output)

    async def _send(self, exchange: _Exchange, answer: Answer) -> None:
        if answer.delay_s:
            # Counted from the arrival: under load the check itself takes its time, and clients give up after 5 s.
            passed_s = asyncio.get_running_loop().time() - exchange.arrived_s
            await asyncio.sleep(max(0.0, answer.delay_s * self._delay_factor - passed_s))
        headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
        if answer.content_type:
            headers.append((b"content-type", answer.content_type.encode()))
        length = len(answer.body) if isinstance(answer.body, bytes) else answer.length
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await exchange.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if isinstance(answer.body, bytes):
            await exchange.send({"type": "http.response.body", "body": answer.body})
        else:
            await self._send_pieces(exchange, answer.body)

    async def _send_pieces(self, exchange: _Exchange, pieces: Iterator[bytes]) -> None:
        """Take and send one piece after the other; whoever reads slowly holds one piece of memory, and no thread."""
        try:
            while (piece := await self._in_pool(next, pieces, None)) is not None:
                await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
        except PlatevaultError as error:
            # The status is out already. Without the last piece the connection is cut off, and so the client sees the failure.
            log.warning("%s %s breaks off: %s", exchange.method, exchange.raw_path.decode("latin-1"), error)
            return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                await self._in_pool(close)
        await exchange.send({"type": "http.response.body", "body": b""})


class _Exchange:
    """What is read from the scope of one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived_s = asyncio.get_running_loop().time()
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.query: bytes = scope.get("query_string", b"")
        self.raw_path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.has_body = has_body(self.headers)
        client = scope.get("client")
        self.client_address: str = client[0] if client else ""
