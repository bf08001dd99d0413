"""Response bodies on their way out: what is sent next, as far as the peer's windows allow.

Streams with something to send take turns, so that one large download does not starve a small answer. A body is read from its
file only when there is room for it, which bounds memory whatever the number of requests in flight.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

from platevault.wire.http2.frames import DATA, DEFAULT_FRAME_BYTES, DEFAULT_WINDOW, END_STREAM, HEADER_BYTES, frame_header
from platevault.wire.http2.message import FileBody
from platevault.wire.http2.windows import SendWindow

TURN_BYTES = 512 * 1024  # one stream's share before the next one's turn


class _Body:
    """The unsent rest of one body."""

    __slots__ = ("file", "left", "sent", "view", "window")

    def __init__(self, body: bytes | memoryview | FileBody, window: SendWindow) -> None:
        self.window = window
        self.file = body if isinstance(body, FileBody) else None
        self.view = memoryview(b"") if isinstance(body, FileBody) else memoryview(body)
        self.left = body.size if isinstance(body, FileBody) else len(self.view)
        self.sent = 0

    def read_into(self, target: memoryview) -> bool:
        """Fill `target` with the next bytes; False when the file ended early or cannot be read."""
        size = len(target)
        if self.file is None:
            target[:] = self.view[self.sent : self.sent + size]
        else:
            filled = 0
            while filled < size:
                try:
                    count = self.file.file.readinto(target[filled:])  # type: ignore[attr-defined]
                except OSError:
                    return False
                if not count:
                    return False
                filled += count
        self.sent += size
        self.left -= size
        return True

    def close(self) -> None:
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.file.close()


class Outbox:
    """Bodies by stream. Used by the thread of the connection only."""

    def __init__(self, send: Callable[[memoryview], None], done: Callable[[int], None], failed: Callable[[int], None]) -> None:
        self._send, self._done, self._failed = send, done, failed
        self._bodies: dict[int, _Body] = {}
        self._turns: deque[int] = deque()
        self._buffer = memoryview(bytearray(TURN_BYTES + 64 * HEADER_BYTES))
        self.connection_window = SendWindow(DEFAULT_WINDOW)
        self.frame_bytes = DEFAULT_FRAME_BYTES

    def add(self, stream_id: int, body: bytes | memoryview | FileBody, window: SendWindow) -> None:
        self._bodies[stream_id] = _Body(body, window)
        self._turns.append(stream_id)

    def drop(self, stream_id: int) -> None:
        """Forget a body whose request was cancelled."""
        body = self._bodies.pop(stream_id, None)
        if body is not None:
            body.close()

    def close(self) -> None:
        for stream_id in list(self._bodies):
            self.drop(stream_id)

    def __len__(self) -> int:
        return len(self._bodies)

    def pump(self) -> bool:
        """Send one turn of the first stream that may send; False when none may."""
        for _ in range(len(self._turns)):
            stream_id = self._turns.popleft()
            body = self._bodies.get(stream_id)
            if body is None:
                continue
            if body.left and (body.window.left <= 0 or self.connection_window.left <= 0):
                self._turns.append(stream_id)
                continue
            self._turn(stream_id, body)
            return True
        return False

    def _turn(self, stream_id: int, body: _Body) -> None:
        budget = min(body.left, body.window.left, self.connection_window.left, TURN_BYTES) if body.left else 0
        position = 0
        while True:
            size = min(budget, self.frame_bytes)
            end = position + HEADER_BYTES + size
            if end > len(self._buffer):
                break
            if not body.read_into(self._buffer[position + HEADER_BYTES : end]):
                return self._fail(stream_id)
            flags = END_STREAM if body.left == 0 else 0
            self._buffer[position : position + HEADER_BYTES] = frame_header(size, DATA, flags, stream_id)
            position, budget = end, budget - size
            if budget <= 0:
                break
        return self._sent(stream_id, body, position)

    def _sent(self, stream_id: int, body: _Body, length: int) -> None:
        frames = -(-length // (self.frame_bytes + HEADER_BYTES)) or 1
        payload = length - frames * HEADER_BYTES
        body.window.left -= payload
        self.connection_window.left -= payload
        self._send(self._buffer[:length])
        if body.left:
            self._turns.append(stream_id)
            return
        self.drop(stream_id)
        self._done(stream_id)

    def _fail(self, stream_id: int) -> None:
        self.drop(stream_id)
        self._failed(stream_id)
