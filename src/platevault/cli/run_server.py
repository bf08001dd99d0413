"""The process of a server: limits, event loop, signals. Apart from the command, so that no other command loads an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from contextlib import suppress

from platevault.app import App, build, listen
from platevault.cli.output import note
from platevault.cli.service_notice import tell_service_manager
from platevault.clock import SystemClock
from platevault.config.settings import Settings

log = logging.getLogger(__name__)


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen, or what a state that cannot be used raises."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    _raise_file_limit()
    listening = listen(settings)
    app = build(settings, SystemClock())
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, listening))
    finally:
        app.close()


def _raise_file_limit() -> None:
    """A connection takes a descriptor, an open archive another; the usual soft limit of 1,024 is kept for programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


async def _serve(app: App, listening: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, app, stop)
    await app.serve(listening, stop, ready=lambda: _announce(app, listening))


def _on_signal(app: App, stop: asyncio.Event) -> None:
    """The first one stops the server in order; with the second one nobody wants to wait any more."""
    if stop.is_set():
        log.warning("stopping at once")
        app.services.sessions.abort()
        return
    log.info("stopping: running sessions have %.0f s to end", app.services.settings.drain_timeout_s)
    tell_service_manager("STOPPING=1", os.environ)
    stop.set()


def _announce(app: App, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    note(f"Platevault listens on https://{shown}:{port}")
    note(f"fingerprint: {app.services.certificate.fingerprint}")
    tell_service_manager("READY=1", os.environ)
