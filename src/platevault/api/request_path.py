"""From the target of a request line to the components of an API path, by the reference server's rules.

Source: spec rest-api §1.1, §1.2. Empty components are dropped, a component that begins with a dot is refused, and each component is
percent-decoded once after the split, so that `%2F` is data and never a separator.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MAX_TARGET_BYTES = 3072  # path and query together, the question mark not counted
API_ROOT = "api2"


class BadPath(Exception):
    """A target that is answered before the API is reached. status: of the answer; an empty text is an empty body."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A path below `/api2/FORMAT`. components: decoded. text: the whole path without empty components, for messages."""

    output: str
    components: tuple[str, ...]
    text: str


def split(raw_path: bytes, query: bytes) -> tuple[str, ...]:
    """The decoded components of a path. Raises BadPath (400, 414)."""
    if len(raw_path) + len(query) > MAX_TARGET_BYTES:
        raise BadPath(414, "")
    return tuple(_decode(component) for component in raw_path.split(b"/") if component)


def api_path(components: tuple[str, ...]) -> ApiPath | None:
    """The API path, None when it is outside of `/api2`. Raises BadPath (404 for `/api2` alone)."""
    if not components or components[0] != API_ROOT:
        return None
    if len(components) == 1:
        raise BadPath(404, "invalid api path '/api2'")
    return ApiPath(components[1], components[2:], "/" + "/".join(components))


def _decode(component: bytes) -> str:
    """One component. The dot is looked for before and after decoding: nothing behind us may see `..`."""
    try:
        text = unquote_to_bytes(component).decode() if b"%" in component else component.decode()
    except UnicodeDecodeError:
        raise BadPath(400, "path is not UTF-8 text") from None
    if component.startswith(b".") or text.startswith("."):
        raise BadPath(400, "path contains illegal components")
    return text
