"""Request bodies that are collected, or thrown away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from platevault.errors import Invalid, PlatevaultError
from platevault.services.body_memory import BodyMemory, TooManyBodies

MAX_PARAMETER_BYTES = 512 * 1024


class BodyTooLarge(Invalid):
    """A body has more bytes than allowed or announced. Fact: `limit`."""


class Collected:
    """A whole body in memory, at most `limit` bytes, and what is to be done with it."""

    def __init__(self, limit: int, memory: BodyMemory, use: Callable[[bytearray], Any]) -> None:
        self._limit, self._memory, self._use = limit, memory, use
        self._data = bytearray()
        self._taken = 0

    def feed(self, piece: memoryview) -> None:
        """Raises BodyTooLarge, and TooManyBodies when the connection has no room for it."""
        try:
            if len(self._data) + len(piece) > self._limit:
                raise BodyTooLarge(f"request body has more than {self._limit} bytes", limit=self._limit)
            if not self._memory.take(len(piece)):
                raise TooManyBodies("too many large request bodies at the same time on this connection")
        except PlatevaultError:
            self.abort()
            raise
        self._taken += len(piece)
        self._data += piece

    def finish(self) -> Any:
        try:
            return self._use(self._data)
        finally:
            self.abort()

    def abort(self) -> None:
        self._memory.give(self._taken)
        self._taken, self._data = 0, bytearray()


class Discarded:
    """A body that nobody looks at, of any length."""

    def feed(self, piece: memoryview) -> None:
        """Nothing is kept."""

    def finish(self) -> None:
        """The answer is null."""

    def abort(self) -> None:
        """There is nothing to forget."""
