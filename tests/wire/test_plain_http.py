from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.wire.plain_http import MAX_HEAD_BYTES, answer, is_tls


@pytest.mark.parametrize(
    ("first", "verdict"),
    [
        (b"", None),
        (b"\x16", None),
        (b"\x16\x03", True),
        (b"\x16\x03\x01\x02", True),
        (b"G", False),
        (b"\x16\x02", False),
        (b"\x15\x03", False),
    ],
)
def test_the_first_bytes_tell_tls_from_http(first: bytes, verdict: bool | None) -> None:
    assert is_tls(first) is verdict


@pytest.mark.parametrize(
    ("method", "status"),
    [(b"GET", b"301 Moved Permanently"), (b"HEAD", b"301 Moved Permanently"), (b"POST", b"308 Permanent Redirect")],
)
def test_a_request_is_sent_to_https_without_its_path(method: bytes, status: bytes) -> None:
    said = answer(method + b" /path?x HTTP/1.1\r\nAccept: x\r\nhOsT:  [::1]:8007 \r\n\r\nbody")
    assert said == (b"HTTP/1.1 " + status + b"\r\nlocation: https://[::1]:8007\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize("host", [b"", b"a b", b"a\x00b", b"a/b", b"<script>", b"x" * 300, "ä".encode()])
def test_a_host_that_is_none_is_not_echoed(host: bytes) -> None:
    said = answer(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
    assert said is not None
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"location" not in said


def test_more_is_waited_for_only_so_long() -> None:
    assert answer(b"GET / HTTP/1.1\r\nhost: a\r\n") is None
    said = answer(b"GET / HTTP/1.1\r\n" + b"x" * MAX_HEAD_BYTES)
    assert said is not None
    assert said.startswith(b"HTTP/1.1 400 ")


@given(st.binary(max_size=300))
def test_whatever_comes_the_answer_is_one_head(received: bytes) -> None:
    said = answer(received + b"\r\n\r\n")
    assert said is not None
    assert said.index(b"\r\n\r\n") == len(said) - 4
