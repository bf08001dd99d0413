"""`platevault serve`: runs the server until SIGTERM or Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platevault.cli.client_options import VerboseOption

if TYPE_CHECKING:
    from platevault.config.settings import Settings


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
    from platevault.cli.run_server import run_server
    from platevault.cli.server_settings import server_settings

    settings = server_settings(state_dir=state_dir, host=host, port=port, drain_timeout_s=drain_timeout)
    _check_state(settings)
    run_server(settings)


def _check_state(settings: Settings) -> None:
    """Raises NoState. A server that made a new state by itself would hide that the right one is not mounted."""
    from platevault.cli.local_state import NoState

    if not settings.state_dir.is_dir() or not any(settings.state_dir.iterdir()):
        raise NoState(
            f"no server state in {settings.state_dir}: give --state-dir, or make it with `platevault init`", path=settings.state_dir
        )
