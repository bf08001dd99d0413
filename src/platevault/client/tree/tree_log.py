"""What went wrong with single entries of a tree while the rest goes on."""

from __future__ import annotations

from collections.abc import Callable


def shown(path: bytes) -> str:
    """A path for people: bytes that are no text, and what could drive a terminal, are escaped."""
    text = path.decode("utf-8", "backslashreplace") or "."
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class TreeLog:
    """Passes each line to `warn`. `skipped` counts entries that are missing or incomplete in the result. One thread."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self.skipped = 0

    def warn(self, path: bytes, what: str) -> None:
        """The entry is there, but not quite as it was."""
        self._warn(f"{shown(path)}: {what}")

    def skip(self, path: bytes, what: str) -> None:
        """The entry, and all below it, is missing or incomplete."""
        self.skipped += 1
        self._warn(f"{shown(path)}: {what}")

    def note(self, text: str) -> None:
        """A warning about no entry in particular."""
        self._warn(text)
