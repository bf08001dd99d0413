"""`platevault serve`: runs the server until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_options import VerboseOption
from platevault.cli.output import note
from platevault.cli.service_notice import tell_service_manager

if TYPE_CHECKING:
    from platevault.app import App
    from platevault.config.settings import Settings

log = logging.getLogger(__name__)


def serve(
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", envvar="PLATEVAULT_STATE_DIR", help="State directory of the server.", show_default=False)
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; all if left out.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option("--port", help="8007 if left out, 0 for a free one.", show_default=False)] = None,
    drain_timeout: Annotated[
        float | None, typer.Option("--drain-timeout", help="Seconds that a stop waits for running sessions; 30 if left out.")
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Run the server. SIGTERM lets running sessions end for a bounded time, a second one ends them at once."""
    from platevault.app import build, listen
    from platevault.cli.server_settings import server_settings
    from platevault.clock import SystemClock

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = server_settings(state_dir=state_dir, host=host, port=port, drain_timeout_s=drain_timeout)
    _check_state(settings)
    _raise_file_limit()
    listening = listen(settings)
    app = build(settings, SystemClock())
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, listening))
    finally:
        app.close()


def _check_state(settings: Settings) -> None:
    """Raises NoState. A server that made a new state by itself would hide that the right one is not mounted."""
    from platevault.cli.local_state import NoState

    if not settings.state_dir.is_dir() or not any(settings.state_dir.iterdir()):
        raise NoState(
            f"no server state in {settings.state_dir}: give --state-dir, or make it with `platevault init`", path=settings.state_dir
        )


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
