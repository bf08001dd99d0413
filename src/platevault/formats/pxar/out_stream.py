"""A byte stream made of many small pieces, handed on in few large ones."""

from __future__ import annotations

from collections.abc import Callable

FLUSH_BYTES = 1024 * 1024
DIRECT_BYTES = 256 * 1024  # a piece of that size is handed on as it is: collecting it would copy it for nothing

Buffer = bytes | bytearray | memoryview
Sink = Callable[[Buffer], object]


class OutStream:
    """Collects pieces for `sink`, which must have used or copied a piece when it returns."""

    __slots__ = ("_sink", "flushed", "pending")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.pending = bytearray()  # collected bytes, to which a caller in a hurry may append; then it calls `flush` when they are many
        self.flushed = 0

    @property
    def position(self) -> int:
        """Bytes of the stream so far."""
        return self.flushed + len(self.pending)

    def write(self, data: Buffer) -> None:
        """Append to the stream."""
        if len(data) >= DIRECT_BYTES:
            self.flush()
            self._sink(data)
            self.flushed += len(data)
            return
        self.pending += data
        if len(self.pending) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand on what is collected."""
        if self.pending:
            self._sink(self.pending)
            self.flushed += len(self.pending)
            self.pending = bytearray()

    def skip(self, size: int) -> None:
        """Count bytes that come into the stream on another way."""
        self.flush()
        self.flushed += size
