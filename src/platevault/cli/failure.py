"""How a command ends when it fails: one line that says what, on what, and what to do; with `-v` also where."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from platevault.cli.exit_codes import exit_code
from platevault.cli.output import printable
from platevault.errors import PlatevaultError

_shown = {"trace": False}


def show_trace(wanted: bool) -> None:
    """Callback of `-v`: failures print their trace as well."""
    _shown["trace"] = _shown["trace"] or wanted


def run_reported(command: Callable[[], int]) -> int:
    """Run a whole command line; returns its exit status. Errors of ours become one line, others too, with a hint to `-v`."""
    _shown["trace"] = False
    try:
        return command()
    except PlatevaultError as error:
        return _report(error, f"error: {error}")
    except KeyboardInterrupt as error:
        return _report(error, "interrupted")
    except BrokenPipeError as error:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        return exit_code(error)
    except Exception as error:
        hint = "" if _shown["trace"] else "; -v shows where"
        return _report(error, f"error: {type(error).__name__}: {error}{hint}")


def _report(error: BaseException, line: str) -> int:
    if _shown["trace"]:
        traceback.print_exception(error)
    print(printable(line), file=sys.stderr)
    return exit_code(error)
