"""Base class and the seven families of errors, by what the caller must do.

A subclass sits beside the code that raises it. Facts are keyword arguments and become attributes, so that a handler can use
`error.digest` or `error.path` without parsing a message. Two tables turn families into answers: HTTP status in `api`, exit code in `cli`.
"""

from __future__ import annotations

from typing import Any


class PlatevaultError(Exception):
    """What failed, on what, and why, in one line. Facts such as `expected`, `got`, `digest`, `path` are attributes."""

    def __init__(self, message: str, /, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __str__(self) -> str:
        return self.message


class Invalid(PlatevaultError):
    """The request is wrong: the caller must change it."""


class Forbidden(PlatevaultError):
    """The caller is known but may not do this, or is not known at all."""


class NotFound(PlatevaultError):
    """The thing named does not exist. Not the same as: it cannot be read."""


class Conflict(PlatevaultError):
    """It exists already, is locked, or has changed since it was read."""


class Corrupt(PlatevaultError):
    """Stored or received bytes fail a check. Never retried silently."""


class Unavailable(PlatevaultError):
    """It cannot be done now: disk full, peer gone, maintenance. May be retried."""


class Aborted(PlatevaultError):
    """Somebody asked for the work to stop."""
