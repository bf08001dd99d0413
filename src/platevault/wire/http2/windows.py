"""Flow control windows of HTTP/2 (RFC 9113 §5.2, §6.9). No I/O."""

from __future__ import annotations

from platevault.wire.http2.frames import MAX_WINDOW, ConnectionFault, ErrorCode


class ReceiveWindow:
    """What the peer may still send to us. Credit is given back when a quarter of the window has been consumed."""

    __slots__ = ("_consumed", "_left", "_threshold")

    def __init__(self, size: int) -> None:
        self._left = size
        self._consumed = 0
        self._threshold = size // 4

    def take(self, size: int) -> None:
        """Count an arriving frame. Raises ConnectionFault when the peer sends more than it was granted."""
        self._left -= size
        if self._left < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows")

    def consume(self, size: int) -> int:
        """Count bytes that have been dealt with; returns the increment to grant now, mostly 0."""
        self._consumed += size
        if self._consumed < self._threshold:
            return 0
        grant, self._consumed = self._consumed, 0
        self._left += grant
        return grant


class SendWindow:
    """What we may still send. May become negative when the peer lowers its initial window."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size

    def grant(self, increment: int) -> bool:
        """Add credit; False when the sum leaves the range that RFC 9113 §6.9.1 allows."""
        self.left += increment
        return self.left <= MAX_WINDOW
