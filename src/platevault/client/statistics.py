"""What a backup has done so far, for the report at the end and for whoever shows progress."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Is told about the work; called from several threads, must not block."""

    def begin(self, name: str, total_bytes: int | None) -> None:
        """An archive begins; its size in bytes when known."""

    def advance(self, size: int) -> None:
        """So many bytes of the archive are dealt with."""

    def end(self) -> None:
        """The archive is complete."""


class NoProgress:
    """Shows nothing."""

    def begin(self, name: str, total_bytes: int | None) -> None:
        pass

    def advance(self, size: int) -> None:
        pass

    def end(self) -> None:
        pass


@dataclass(slots=True)
class Counters:
    """Bytes and chunks of one archive. `_lock` guards all figures; read them when the work has ended."""

    chunks: int = 0
    uploaded_chunks: int = 0
    reused_bytes: int = 0
    uploaded_bytes: int = 0
    sent_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reused(self, size: int) -> None:
        """A chunk of `size` bytes needed no upload."""
        with self._lock:
            self.chunks += 1
            self.reused_bytes += size

    def uploaded(self, size: int, encoded: int) -> None:
        """A chunk of `size` bytes was sent as a blob of `encoded` bytes."""
        with self._lock:
            self.chunks += 1
            self.uploaded_chunks += 1
            self.uploaded_bytes += size
            self.sent_bytes += encoded
