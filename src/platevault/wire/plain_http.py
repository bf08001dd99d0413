"""What a client hears that speaks plain HTTP to the TLS port. Pure: bytes in, bytes out.

Source: spec wire-protocol §2.1, rest-api §1.1: a redirect to https without the path, 400 when there is no Host.
"""

from __future__ import annotations

import re

HANDSHAKE_RECORD = b"\x16\x03"  # record type handshake, major version of every TLS
MAX_HEAD_BYTES = 16 * 1024
HOST = re.compile(rb"[A-Za-z0-9._\-:\[\]%]{1,255}")  # nothing that could end the header it is echoed in


def is_tls(first: bytes) -> bool | None:
    """Whether a connection that begins so speaks TLS; None when that cannot be told yet."""
    if len(first) < len(HANDSHAKE_RECORD):
        return None if HANDSHAKE_RECORD.startswith(first) else False
    return first.startswith(HANDSHAKE_RECORD)


def answer(received: bytes) -> bytes | None:
    """The response to a request head, None while more of it must come. What is no request gets 400 like one without Host."""
    end = received.find(b"\r\n\r\n")
    if end < 0 and len(received) < MAX_HEAD_BYTES:
        return None
    lines = received[: max(end, 0)].split(b"\r\n")
    host = _host(lines[1:])
    if host is None:
        return _response(b"400 Bad Request")
    is_read = lines[0].split(b" ", 1)[0] in (b"GET", b"HEAD")
    status = b"301 Moved Permanently" if is_read else b"308 Permanent Redirect"
    return _response(status, b"location: https://" + host + b"\r\n")


def _host(lines: list[bytes]) -> bytes | None:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"host":
            value = value.strip()
            return value if HOST.fullmatch(value) else None
    return None


def _response(status: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"content-length: 0\r\nconnection: close\r\n\r\n"
