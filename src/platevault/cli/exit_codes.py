"""Exit status of the command line, by error family. One table, shown in the reference of the commands."""

from __future__ import annotations

from platevault.errors import Aborted, Conflict, Corrupt, Forbidden, Invalid, NotFound, PlatevaultError, Unavailable

DONE = 0
FAILED = 1
INCOMPLETE = 9  # the backup was written, but some files could not be read; or restored, but some could not be made
INTERRUPTED = 130  # as a shell says it of SIGINT

EXIT_CODES: dict[type[PlatevaultError], tuple[int, str]] = {
    Invalid: (2, "the request or the command line is wrong"),
    Forbidden: (3, "no permission, wrong credentials, untrusted certificate, or a missing key"),
    NotFound: (4, "it does not exist"),
    Conflict: (5, "it exists already, is locked, or has changed meanwhile"),
    Corrupt: (6, "stored or received data is damaged"),
    Unavailable: (7, "it cannot be done now; trying again may help"),
    Aborted: (8, "it was stopped"),
}


def exit_code(error: BaseException) -> int:
    """The status for an error that ended a command."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return next((code for family, (code, _) in EXIT_CODES.items() if isinstance(error, family)), FAILED)
