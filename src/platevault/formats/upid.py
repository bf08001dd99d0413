"""UPID: the name of a task.

Source: spec formats §10.1, rest-api §7.1. `UPID:NODE:PID:PSTART:TASKID:START:TYPE:ID:AUTHID:`, numbers in upper-case hex of at
least 8 digits; the id is escaped: `/` becomes `-`, every byte outside `A-Z a-z 0-9 _ .` becomes `\\xNN`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from platevault.errors import Invalid

_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9})"
    r":(?P<task>[0-9A-Fa-f]{8,16}):(?P<start>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<auth>[^:\s]+):\Z",
    re.ASCII,
)
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: cannot be stored
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_ESCAPE_BYTES = re.compile(_ESCAPE.pattern.encode())
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")
MAX_CHARACTERS = 4096


class InvalidUpid(Invalid):
    """A text that is no UPID. Fact: `text`."""


def escape_id(text: str) -> str:
    """The worker id as it stands in a UPID; a leading dot is escaped, too."""
    escaped = []
    for position, byte in enumerate(text.encode()):
        if byte == 0x2F:
            escaped.append("-")
        elif byte in _PLAIN and not (position == 0 and byte == 0x2E):
            escaped.append(chr(byte))
        else:
            escaped.append(f"\\x{byte:02x}")
    return "".join(escaped)


def unescape_id(text: str) -> str:
    """The inverse of `escape_id`. Raises InvalidUpid for a broken escape and for text that is not UTF-8."""
    if "\\" in _ESCAPE.sub("", text):
        raise InvalidUpid("broken escape in a worker id", text=text)
    try:
        plain = text.replace("-", "/").encode()
        return _ESCAPE_BYTES.sub(lambda match: bytes.fromhex(match[1].decode()), plain).decode()
    except UnicodeError:
        raise InvalidUpid("worker id is not UTF-8", text=text) from None


@dataclass(frozen=True, slots=True)
class Upid:
    """`pid` and `pstart` name the process, `start` is in seconds since the epoch, `worker_id` is unescaped, None when empty."""

    node: str
    pid: int
    pstart: int
    task_id: int
    start: int
    worker_type: str
    worker_id: str | None
    auth_id: str

    @classmethod
    def parse(cls, text: str) -> Upid:
        """Raises InvalidUpid for any text that is no UPID."""
        match = _UPID.match(text) if len(text) <= MAX_CHARACTERS else None
        if match is None or _SURROGATE.search(text):
            raise InvalidUpid(f"'{text[:96]}' is no UPID", text=text)
        numbers = (int(match[name], 16) for name in ("pid", "pstart", "task", "start"))
        pid, pstart, task_id, start = numbers
        return cls(match["node"], pid, pstart, task_id, start, match["type"], unescape_id(match["id"]) or None, match["auth"])

    def __str__(self) -> str:
        numbers = f"{self.pid:08X}:{self.pstart:08X}:{self.task_id:08X}:{self.start:08X}"
        return f"UPID:{self.node}:{numbers}:{self.worker_type}:{escape_id(self.worker_id or '')}:{self.auth_id}:"
