"""What an answer of the server means to us: status and text become one of our error families."""

from __future__ import annotations

from platevault.errors import Conflict, Forbidden, Invalid, NotFound, PlatevaultError, Unavailable

MAX_TEXT = 400  # characters of the server's text that fit a one-line message


class Refused(PlatevaultError):
    """The server answered with an error. Facts `status` and `text`. Always also a member of a family."""


class RefusedRequest(Refused, Invalid):
    """400 and other 4xx: this request will fail again."""


class RefusedAccess(Refused, Forbidden):
    """401 or 403: the credentials are wrong or lack a privilege."""


class RefusedMissing(Refused, NotFound):
    """404."""


class RefusedConflict(Refused, Conflict):
    """409."""


class RefusedNow(Refused, Unavailable):
    """5xx: the server has a problem; it may be tried again."""


FAMILIES = {401: RefusedAccess, 403: RefusedAccess, 404: RefusedMissing, 409: RefusedConflict}


def refusal(doing: str, status: int, body: bytes | bytearray) -> Refused:
    """The error for an answer that is no success. doing: what we were about, in words, e.g. `closing root.pxar.didx`."""
    words = " ".join(bytes(body[: 4 * MAX_TEXT]).decode("utf-8", "replace").split())
    # What could drive a terminal is left out: the text comes from the other side.
    text = "".join(letter for letter in words if letter.isprintable())[:MAX_TEXT] or "no reason given"
    family = FAMILIES.get(status, RefusedNow if status >= 500 else RefusedRequest)
    return family(f"{doing}: the server answered {status}: {text}", status=status, text=text)
