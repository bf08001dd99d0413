"""A bound on the memory for request bodies that cannot be dealt with piece by piece."""

from __future__ import annotations

from platevault.errors import Unavailable

MAX_BYTES = 32 * 1024 * 1024  # eight compressed chunks of 4 MiB that arrive interleaved, as one known client sends them


class TooManyBodies(Unavailable):
    """The bodies that arrive at the same moment on this connection need too much memory."""


class BodyMemory:
    """What one session may keep of bodies that are still arriving. Used by the thread of the session."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False when there is no room."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Return what was taken."""
        self._left += size
