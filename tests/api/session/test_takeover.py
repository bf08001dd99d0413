"""What fails between the checks of a session and its first request leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kit.session_server import FIRST, SessionServer
from platevault.api.route import Call
from platevault.api.session import takeover
from platevault.api.session.takeover import CLIENT_GONE, Opened, WrongUpgrade, check_upgrade, take_over
from platevault.errors import Unavailable
from platevault.services.body_memory import BodyMemory
from platevault.services.sessions import Sessions, StopSwitch
from platevault.wire.http1 import EXTENSION
from platevault.wire.http2.server import ServerConnection
from platevault.wire.link import LinkClosed

WAIT_S = 30.0
QUERY = {"backup-id": "elsa", "backup-time": FIRST, "backup-type": "host", "store": "store"}


class FakeSession:
    """Notes how it was ended."""

    def __init__(self) -> None:
        self.task: Any = None
        self.ended: list[str | None] = []
        self.over = threading.Event()

    def end(self, trouble: str | None) -> None:
        self.ended.append(trouble)
        self.over.set()


def opened(session: FakeSession) -> Opened[FakeSession]:
    return Opened(session, {}, BodyMemory(), StopSwitch(), "test", debug=False)


def call_with(switch: object, headers: list[tuple[bytes, bytes]] | None = None) -> Call:
    scope = {"extensions": {EXTENSION: switch} if switch else {}, "headers": headers or []}
    return cast(Call, SimpleNamespace(scope=scope, app=SimpleNamespace(sessions=None, clock=None)))


# --- without a connection ---


def test_a_client_that_left_during_the_checks() -> None:
    async def gone(headers: object) -> None:
        raise LinkClosed("the client is gone", clean=True)

    session = FakeSession()
    with pytest.raises(LinkClosed):
        asyncio.run(take_over(call_with(gone), "protocol", lambda: opened(session)))
    assert session.ended == [CLIENT_GONE]


def test_a_server_that_stops_during_the_checks() -> None:
    """The thread of the checks cannot be stopped; the session that it makes is ended as soon as it is there."""
    session, go_on, begun = FakeSession(), threading.Event(), threading.Event()

    def slow() -> Opened[FakeSession]:
        begun.set()
        go_on.wait(WAIT_S)
        return opened(session)

    async def scenario() -> None:
        taking = asyncio.ensure_future(take_over(call_with(None), "protocol", slow))
        await asyncio.to_thread(begun.wait, WAIT_S)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert session.ended == []
        go_on.set()
        await asyncio.to_thread(session.over.wait, WAIT_S)

    asyncio.run(scenario())
    assert session.ended == [CLIENT_GONE]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"upgrade", b"other")],
        [(b"upgrade", b"Proto")],
        [(b"upgrade", b"proto, h2c")],
        [(b"upgrade", b"proto"), (b"upgrade", b"proto")],
    ],
    ids=str,
)
def test_the_upgrade_header_is_one_exact_value(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(WrongUpgrade):
        check_upgrade(call_with(object(), headers), "proto")
    check_upgrade(call_with(object(), [(b"Upgrade", b"proto")]), "proto")
    with pytest.raises(WrongUpgrade, match=r"HTTP/1\.1"):
        check_upgrade(call_with(None, [(b"upgrade", b"proto")]), "proto")


# --- when the connection has left HTTP ---


def hang_up(server: SessionServer) -> None:
    """The server closes the connection; the 101 leaves with the first bytes of the session, so the client does not even see it."""
    with pytest.raises(ConnectionError):
        server.upgrade("backup", QUERY)


def assert_nothing_remains(server: SessionServer, status: str) -> None:
    server.settle()
    assert server.snapshots() == []
    assert list((server.site.where / "store" / "host").glob("*")) == []
    assert server.task("backup").status == status
    server.finished(0)


def test_no_more_threads(server: SessionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Sessions, *args: object) -> None:
        raise Unavailable("cannot start a session: can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(Sessions, "start", refuse)
        hang_up(server)
        wait_for_end(server)
    assert_nothing_remains(server, "cannot start a session: can't start new thread")


def wait_for_end(server: SessionServer) -> None:
    """The end runs in a thread of the loop's pool: an empty job behind it, on the loop, comes back when it is done."""

    async def idle() -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)

    server.https.call(idle())


def test_no_more_descriptors(server: SessionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(takeover, "ServerConnection", refuse)
        hang_up(server)
        server.settle()
    assert_nothing_remains(server, "internal error, the log of the server has the details")


def test_a_stop_between_the_checks_and_the_connection(server: SessionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    site = server.site

    def stopped_first(*args: Any, **options: Any) -> Any:
        site.services.tasks.abort(server.task("backup").upid)
        return ServerConnection(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(takeover, "ServerConnection", stopped_first)
        hang_up(server)
        server.settle()
    assert_nothing_remains(server, "abort requested - aborting task")
