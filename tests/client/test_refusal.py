from __future__ import annotations

import pytest

from platevault.client.refusal import Refused, refusal
from platevault.errors import Conflict, Forbidden, Invalid, NotFound, PlatevaultError, Unavailable


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, Invalid),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (414, Invalid),
        (500, Unavailable),
        (503, Unavailable),
        (302, Invalid),
    ],
)
def test_a_status_becomes_a_family(status: int, family: type[PlatevaultError]) -> None:
    error = refusal("closing root.pxar.didx", status, b"checksum differs")
    assert isinstance(error, Refused)
    assert isinstance(error, family)
    assert str(error) == f"closing root.pxar.didx: the server answered {status}: checksum differs"
    assert (error.status, error.text) == (status, "checksum differs")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no reason given"),
        (b" \n ", "no reason given"),
        (b"two\nlines\r\n", "two lines"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 100_000, "x" * 400),
    ],
)
def test_the_text_is_one_short_line_whatever_came(body: bytes, text: str) -> None:
    assert refusal("x", 400, bytearray(body)).text == text


def test_a_text_cannot_drive_a_terminal() -> None:
    assert "\x1b" not in str(refusal("x", 400, b"\x1b[31mred\x07"))
