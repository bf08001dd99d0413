"""A byte stream that comes in pieces of any size and is read item by item, without copying what is large."""

from __future__ import annotations

from collections.abc import Callable

from platevault.formats.pxar.items import CorruptArchive

READ_BYTES = 1024 * 1024

Read = Callable[[int], bytes]


class InStream:
    """Reads from `read(size)`, which gives the next bytes, about as many as asked for, none only at the end. Memory: a piece, an item."""

    __slots__ = ("_base", "_read", "at", "held", "view")

    def __init__(self, read: Read) -> None:
        self._read = read
        self.held = b""  # the piece in hand; `at` is the place in it, `view` the same bytes for slices that are not copied
        self.view = memoryview(self.held)
        self.at = self._base = 0

    @property
    def position(self) -> int:
        """Bytes read so far, from the beginning of the stream."""
        return self._base + self.at

    def start_at(self, position: int) -> None:
        """Count positions from here instead of 0; before anything is read."""
        self._base = position

    def need(self, size: int) -> None:
        """Make sure that `size` bytes are in hand at `at`. Raises CorruptArchive when the stream ends earlier."""
        missing = size - (len(self.held) - self.at)
        if missing <= 0:
            return
        pieces = [self.held[self.at :]]
        while missing > 0:
            piece = self._read(max(READ_BYTES, missing))
            if not piece:
                raise CorruptArchive("the archive is cut off", offset=self.position)
            pieces.append(piece)
            missing -= len(piece)
        self._base += self.at
        self._hold(b"".join(pieces))

    def take(self, size: int) -> bytes:
        """The next `size` bytes, few enough to be kept."""
        self.need(size)
        data = self.held[self.at : self.at + size]
        self.at += size
        return data

    def take_some(self, most: int) -> memoryview:
        """The next 1 to `most` bytes, as many as are in hand. Valid as long as the caller keeps it."""
        if self.at == len(self.held):
            self._base += self.at
            self._hold(self._read(READ_BYTES))
            if not self.held:
                raise CorruptArchive("the archive is cut off", offset=self.position)
        view = self.view[self.at : self.at + most]
        self.at += len(view)
        return view

    def skip(self, size: int) -> None:
        """Leave out bytes."""
        while size:
            size -= len(self.take_some(size))

    def at_end(self) -> bool:
        """Whether nothing follows."""
        if self.at == len(self.held):
            self._base += self.at
            self._hold(self._read(READ_BYTES))
        return not self.held

    def _hold(self, data: bytes) -> None:
        self.held, self.view, self.at = data, memoryview(data), 0
