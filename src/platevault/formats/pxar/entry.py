"""One entry of an archive, as the decoder gives it out."""

from __future__ import annotations

from enum import Enum, auto

from platevault.formats.pxar.metadata import NOTHING, Metadata, Stat

NO_STAT = Stat(0)


class Kind(Enum):
    """Kinds of entries. `END` is the end of a directory and has no name."""

    DIRECTORY = auto()
    END = auto()
    FILE = auto()
    SYMLINK = auto()
    HARDLINK = auto()
    DEVICE = auto()
    FIFO = auto()
    SOCKET = auto()


class Entry:
    """An entry; made for each of millions, hence plain.

    `name`: empty for the root. `offset`: where the entry begins in the archive. `size`: of a file's content, in bytes. `payload_offset`: of
    its PAYLOAD in the payload stream, None when the content follows in the archive. `target`: of a symbolic link, or the path of the file
    that a hard link is another name of, which begins at `first_offset`. `device`: major, minor.
    """

    __slots__ = ("device", "first_offset", "kind", "metadata", "name", "offset", "payload_offset", "size", "stat", "target")

    def __init__(self, kind: Kind, name: bytes = b"", offset: int = 0, stat: Stat = NO_STAT, metadata: Metadata = NOTHING) -> None:
        self.kind, self.name, self.offset, self.stat, self.metadata = kind, name, offset, stat, metadata
        self.size = self.first_offset = 0
        self.payload_offset: int | None = None
        self.target = b""
        self.device = (0, 0)

    def __repr__(self) -> str:
        return f"Entry({self.kind.name}, {self.name!r}, offset={self.offset})"
