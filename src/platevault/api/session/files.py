"""What the endpoints of both sessions share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from platevault.api.statuses import WithStatus
from platevault.errors import NotFound


def open_or_404(open_file: Callable[[str], BinaryIO], name: str) -> BinaryIO:
    """The open file. A missing blob is 404 (PBS takes that for "the snapshot vanished"); a missing index is another error."""
    try:
        return open_file(name)
    except NotFound as error:
        raise WithStatus(404, error.message) from error


def subdirs(table: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The names of a table, as `GET /` shows them."""
    return [{"subdir": name} for name in sorted({name for _, name in table if name})]
