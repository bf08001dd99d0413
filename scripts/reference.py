"""Writes docs/reference/: the command line from the program itself, the API from its route table.

`--check` only says whether the pages are current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from platevault.api.route import Route
from platevault.api.table import ROUTES
from platevault.cli.exit_codes import DONE, EXIT_CODES, FAILED, INCOMPLETE, INTERRUPTED
from platevault.cli.main import app

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py; do not edit. -->\n"


def main(arguments: list[str]) -> int:
    pages = {"api.md": api_page(list(ROUTES)), "cli.md": cli_page()}
    stale = [name for name, text in pages.items() if _current(FOLDER / name) != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is not current: run .venv/bin/python scripts/reference.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(pages[name])
        print(f"wrote docs/reference/{name}")
    return 0


def _current(path: Path) -> str:
    return path.read_text() if path.exists() else ""


# --- API ------------------------------------------------------------------------------------------------------------------------------


def api_page(routes: list[Route]) -> str:
    """One table a first path component."""
    lines = [NOTE, "# API", "", *API_INTRODUCTION.splitlines()]
    for area in sorted({_area(route) for route in routes}):
        lines += ["", f"## {area}", "", "| Endpoint | What | Who may |", "|---|---|---|"]
        lines += [_api_row(route) for route in sorted(routes, key=lambda route: (route.path, route.method)) if _area(route) == area]
    return "\n".join(lines) + "\n"


API_INTRODUCTION = """\
The API of Proxmox Backup Server, under `https://SERVER:8007/api2/json` (and `/api2/extjs`): same paths, parameters,
answers and errors. Authentication by ticket (`POST /access/ticket`, cookie `PBSAuthCookie`, header `CSRFPreventionToken` on writes) or
by API token:

    curl -H 'Authorization: PBSAPIToken=USER@REALM!NAME:SECRET' https://SERVER:8007/api2/json/version

What is not in these tables is answered with 404."""


def _area(route: Route) -> str:
    return "/" + route.path.strip("/").split("/")[0]


def _api_row(route: Route) -> str:
    return f"| `{route.method} {route.path}` | {_cell(route.summary)} | {_cell(str(route.access))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- command line ---------------------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """One section a command, in the order of their names."""
    lines = [NOTE, "# Command line", "", "Every command understands `--help`.", "", *_exit_status()]
    for words, command in _commands(typer.main.get_command(app), ("platevault",)):
        lines += ["", f"## {' '.join(words)}", "", *_help(command), "", *_parameters(words, command)]
    return "\n".join(lines).rstrip() + "\n"


def _exit_status() -> list[str]:
    ours = [(code, meaning) for code, meaning in EXIT_CODES.values()]
    others = [
        (DONE, "done"),
        (FAILED, "something else failed; `-v` shows where"),
        (INCOMPLETE, "the backup was written, but some files could not be read; or restored, but some could not be made"),
        (INTERRUPTED, "interrupted by Ctrl-C"),
    ]
    rows = [f"| {code} | {meaning} |" for code, meaning in sorted(ours + others)]
    return ["## Exit status", "", "| Status | Meaning |", "|---|---|", *rows]


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in sorted(children.items()):
        if not child.hidden:
            yield from _commands(child, (*words, name))


def _help(command: Any) -> list[str]:
    return [line.strip().replace("\b", "") for line in (command.help or "").strip().splitlines()]


def _parameters(words: tuple[str, ...], command: Any) -> list[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden]
    usage = " ".join([*words, *(["[OPTIONS]"] if options else []), *(argument.make_metavar_text for argument in map(_Argument, arguments))])
    lines = ["```", usage, "```"]
    if options:
        lines += ["", "| Option | Meaning |", "|---|---|", *(_option_row(option) for option in options if option.name != "help")]
    return lines


class _Argument:
    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter

    @property
    def make_metavar_text(self) -> str:
        name = (self._parameter.metavar or self._parameter.name).upper().strip("[]").removesuffix("...")
        several = "..." if self._parameter.nargs == -1 else ""
        return f"{name}{several}" if self._parameter.required else f"[{name}{several}]"


def _option_row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or [])
    remark = f" Environment: {', '.join(f'`{name}`' for name in variables)}." if variables else ""
    return f"| {names} | {_cell(option.help or '')}{remark} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
