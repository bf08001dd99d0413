"""From an HTTP/1.1 request to a session: the upgrade, the thread of the session, and what happens at its end.

Source: design §5, spec wire-protocol §2.5 #7, §2.7. All checks run in a thread, for they read disks. Whatever fails after the session was
opened ends it like a lost connection: no snapshot, no lock, no task is left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, cast

from platevault.api.route import TAKEN, Call, Taken
from platevault.api.session.endpoint import S, Table
from platevault.api.session.requests import RequestHandler
from platevault.clock import Clock
from platevault.errors import Invalid, PlatevaultError
from platevault.services.body_memory import BodyMemory
from platevault.services.sessions import StopSwitch
from platevault.services.tasks import ABORTED
from platevault.wire.http1 import EXTENSION, TakeOver
from platevault.wire.http2.server import End, ServerConnection
from platevault.wire.link import TlsLink

CLIENT_GONE = "the client left before its session began"
SHUTDOWN = "the server is being stopped - aborting"

log = logging.getLogger(__name__)


class WrongUpgrade(Invalid):
    """The request does not ask for the one protocol that this endpoint speaks."""


@dataclass(frozen=True, slots=True)
class Opened(Generic[S]):
    """A session that waits for its connection, and everything needed to run it."""

    session: S
    table: Table[S]
    memory: BodyMemory
    switch: StopSwitch
    name: str
    debug: bool


def check_upgrade(call: Call, protocol: str) -> None:
    """The `Upgrade` header has exactly this value, and the connection can leave HTTP. Raises WrongUpgrade."""
    values = [value.decode("latin-1") for name, value in call.scope["headers"] if name.lower() == b"upgrade"]
    if values != [protocol]:
        raise WrongUpgrade(f"invalid upgrade header: '{protocol}' is expected")
    if EXTENSION not in call.scope.get("extensions", {}):
        raise WrongUpgrade("this connection cannot be upgraded: HTTP/1.1 is needed")


async def take_over(call: Call, protocol: str, open_session: Callable[[], Opened[S]]) -> Taken:
    """Open a session in a thread, answer 101, and let it run. Raises what `open_session` raises, and LinkClosed."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_session))
    try:
        opened = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_abandon)  # the thread goes on and would leave a session that nobody runs
        raise
    switch_protocols = cast(TakeOver, call.scope["extensions"][EXTENSION])
    try:
        link = await switch_protocols([(b"upgrade", protocol.encode())])
    except BaseException:
        await asyncio.to_thread(opened.session.end, CLIENT_GONE)
        raise
    try:
        call.app.sessions.start(opened.name, lambda: _run(opened, link, call.app.clock), opened.switch.stop)
    except PlatevaultError as error:
        link.close()
        await asyncio.to_thread(opened.session.end, error.message)
    return TAKEN


def _abandon(opening: asyncio.Future[Opened[S]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().session.end(CLIENT_GONE)


def _run(opened: Opened[S], link: TlsLink, clock: Clock) -> None:
    """The thread of a session, from the first byte after the 101 to the end of its task."""
    trouble: str | None = "internal error, the log of the server has the details"
    try:
        trouble = _serve(opened, link, clock)
    except Exception:
        log.exception("%s failed", opened.name)
        link.close()
    finally:
        opened.session.end(trouble)


def _serve(opened: Opened[S], link: TlsLink, clock: Clock) -> str | None:
    """Answer requests until the connection ends; returns what broke it, None when the client closed it."""
    task = opened.session.task
    handler = RequestHandler(opened.session, opened.table, opened.memory, debug=opened.debug)
    connection = ServerConnection(link, handler, clock=clock)
    opened.switch.connect(connection.stop)
    if opened.debug:
        task.log("protocol upgrade done")
    end = connection.run()
    if end is End.CLEAN:
        return None
    if end is End.STOPPED:
        return ABORTED if task.abort_requested else SHUTDOWN
    return f"connection error: {connection.reason}"
