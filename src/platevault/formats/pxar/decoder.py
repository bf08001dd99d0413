"""Read a pxar archive as a stream, entry by entry, formats 1 and 2.

Source: spec formats §8.1 - §8.6, §8.8. Whatever the bytes: only CorruptArchive, and memory bounded by one item, `MAX_METADATA_BYTES` for
one entry, and `MAX_PATH_BYTES` for the names of the directories that are open. Goodbye tables serve random access and are passed over: an
archive whose tables are wrong can still be restored.
"""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator

from platevault.formats.pxar import items, metadata
from platevault.formats.pxar.entry import Entry, Kind
from platevault.formats.pxar.in_stream import InStream, Read
from platevault.formats.pxar.items import CONTENT_BYTES, HEADER, HEADER_BYTES, ONE, STAT, STAT_V1, TWO, CorruptArchive, is_name
from platevault.formats.pxar.metadata import Metadata, MetadataReader, Stat

MAX_METADATA_BYTES = 64 * 1024 * 1024
MAX_PATH_BYTES = 1024 * 1024
MAX_DEPTH = 65536
NANOSECONDS = 1_000_000_000
_PLAIN_FILE = struct.Struct("<QQQQIIqIIQQ")  # ENTRY and the header of PAYLOAD
_ENTRY_BYTES = HEADER_BYTES + STAT.size


class Decoder:
    """Gives the entries of an archive in their order, None behind the last. One thread.

    After a FILE whose content is in the archive, `content()` may be read; what is not read is passed over.
    """

    def __init__(self, read: Read) -> None:
        """read: gives the next bytes of the archive, about as many as asked for, and none only at its end."""
        self._in = InStream(read)
        self._names: list[int] = []  # bytes of the name of each open directory
        self._path_bytes = 0
        self._left = 0  # bytes of content that have not been read
        self._ahead = 0  # type of an item whose header has been read already; 0 is no type
        self._size = 0  # bytes of content of the item whose header was read last
        self._started = False
        self.version = 1
        self.prelude: bytes | None = None

    @classmethod
    def of_entry(cls, read: Read, offset: int) -> Decoder:
        """A decoder for the one entry of a directory that begins at `offset` of the archive, where `read` begins. Ask `next` once."""
        decoder = cls(read)
        decoder._started = True
        decoder._names, decoder._path_bytes = [1], 1
        decoder._in.start_at(offset)
        return decoder

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next()) is not None:
            yield entry

    def next(self) -> Entry | None:
        """The next entry. Raises CorruptArchive."""
        if self._left:
            self._in.skip(self._left)
            self._left = 0
        if not self._names:
            return self._outside()
        if not self._ahead and (plain := self._plain_file()) is not None:
            return plain
        kind, self._ahead = self._ahead or self._header(), 0
        if kind == items.FILENAME:
            return self._child()
        if kind == items.GOODBYE:
            return self._leave()
        raise self._corrupt("expected a name or the end of a directory")

    def content(self) -> Iterator[memoryview]:
        """The content of the file in hand, in pieces. Nothing for a payload in another stream."""
        while self._left:
            piece = self._in.take_some(self._left)
            self._left -= len(piece)
            yield piece

    def _outside(self) -> Entry | None:
        """Before the root, or behind it."""
        if self._started:
            if not self._in.at_end():
                raise self._corrupt("something follows the end of the archive")
            return None
        self._started = True
        kind = self._header()
        if kind == items.FORMAT_VERSION:
            kind = self._preface()
        if kind not in (items.ENTRY, items.ENTRY_V1):
            raise self._corrupt("not a pxar archive")
        root = Entry(Kind.DIRECTORY, stat=self._stat(kind))
        self._finish(root)
        if root.kind is not Kind.DIRECTORY:
            raise self._corrupt("the root is no directory")
        return root

    def _preface(self) -> int:
        (self.version,) = ONE.unpack(self._take())
        if self.version not in (1, 2):
            raise self._corrupt(f"unknown format version {self.version}")
        kind = self._header()
        if kind == items.PRELUDE:
            self.prelude = self._take()
            kind = self._header()
        return kind

    def _plain_file(self) -> Entry | None:
        """The next entry if it is a regular file without metadata, as most are, and in hand as a whole up to its content.

        Anything unusual is left to `_child`, which reads item by item and says what is wrong.
        """
        stream = self._in
        held, at = stream.held, stream.at
        if len(held) - at < HEADER_BYTES:
            return None
        kind, full = HEADER.unpack_from(held, at)
        end = at + full
        if kind != items.FILENAME or full < HEADER_BYTES + 2 or end + _PLAIN_FILE.size > len(held):
            return None
        name = held[at + HEADER_BYTES : end - 1]
        entry_kind, entry_full, *fields, _, kind, full = _PLAIN_FILE.unpack_from(held, end)
        if entry_kind != items.ENTRY or entry_full != _ENTRY_BYTES or kind != items.PAYLOAD or full < HEADER_BYTES:
            return None
        if held[end - 1] or not is_name(name) or fields[5] >= NANOSECONDS:
            return None
        entry = Entry(Kind.FILE, name, stream.position, Stat(*fields))
        entry.size = self._left = full - HEADER_BYTES
        stream.at = end + _PLAIN_FILE.size
        return entry

    def _child(self) -> Entry:
        offset = self._in.position - HEADER_BYTES
        name = self._take()
        if name[-1] or not is_name(name[:-1]):
            raise self._corrupt(f"impossible name {name[:64]!r}")
        entry = Entry(Kind.DIRECTORY, name[:-1], offset)
        kind = self._header()
        if kind == items.HARDLINK:
            self._hardlink(entry)
        elif kind in (items.ENTRY, items.ENTRY_V1):
            entry.stat = self._stat(kind)
            self._finish(entry)
        else:
            raise self._corrupt("a name without an entry")
        return entry

    def _hardlink(self, entry: Entry) -> None:
        content = self._take()
        (distance,) = ONE.unpack_from(content)
        path = content[ONE.size : -1]
        if content[-1] or b"\0" in path or not 0 < distance <= entry.offset:
            raise self._corrupt(f"impossible hard link {entry.name!r}")
        entry.kind, entry.target, entry.first_offset = Kind.HARDLINK, path, entry.offset - distance

    def _stat(self, kind: int) -> Stat:
        content = self._take()
        if kind == items.ENTRY:
            mode, flags, uid, gid, mtime_s, mtime_ns, _ = STAT.unpack(content)
        else:
            mode, flags, uid, gid, nanoseconds = STAT_V1.unpack(content)
            mtime_s, mtime_ns = divmod(nanoseconds, NANOSECONDS)
        if mtime_ns >= NANOSECONDS:
            raise self._corrupt("impossible time")
        return Stat(mode, flags, uid, gid, mtime_s, mtime_ns)

    def _finish(self, entry: Entry) -> None:
        """Read an entry up to the item that says what it is; that of a directory, fifo or socket belongs to the next entry."""
        kind = self._header()
        if kind in metadata.KINDS:
            entry.metadata, kind = self._metadata(kind)
        if kind == items.PAYLOAD:
            entry.kind, entry.size = Kind.FILE, self._size
            self._left = self._size
        elif kind == items.PAYLOAD_REF:
            entry.kind = Kind.FILE
            entry.payload_offset, entry.size = TWO.unpack(self._take())
        elif kind == items.SYMLINK:
            entry.kind, entry.target = Kind.SYMLINK, self._target()
        elif kind == items.DEVICE:
            entry.kind, entry.device = Kind.DEVICE, TWO.unpack(self._take())
            if not (st.S_ISCHR(entry.stat.mode) or st.S_ISBLK(entry.stat.mode)):
                raise self._corrupt("a device whose mode says something else")
        elif kind in (items.FILENAME, items.GOODBYE):
            self._ahead = kind
            self._without_content(entry)
        else:
            raise self._corrupt("an item at a wrong place")

    def _metadata(self, kind: int) -> tuple[Metadata, int]:
        """The metadata of an entry, and the type of the item that ends it."""
        reader, room = MetadataReader(), MAX_METADATA_BYTES
        while kind in metadata.KINDS:
            room -= HEADER_BYTES + self._size
            if room < 0:
                raise self._corrupt(f"an entry with more than {MAX_METADATA_BYTES} bytes of metadata")
            if not reader.take(kind, self._take()):
                raise self._corrupt("metadata that may stand once stands twice")
            kind = self._header()
        return reader.finish(), kind

    def _target(self) -> bytes:
        content = self._take()
        if content[-1] or b"\0" in content[:-1]:
            raise self._corrupt("impossible target of a symbolic link")
        return content[:-1]

    def _without_content(self, entry: Entry) -> None:
        if st.S_ISFIFO(entry.stat.mode):
            entry.kind = Kind.FIFO
        elif st.S_ISSOCK(entry.stat.mode):
            entry.kind = Kind.SOCKET
        else:
            self._names.append(len(entry.name) + 1)
            self._path_bytes += len(entry.name) + 1
            if len(self._names) > MAX_DEPTH or self._path_bytes > MAX_PATH_BYTES:
                raise self._corrupt("directories are nested too deeply")

    def _leave(self) -> Entry:
        if self._size % items.GOODBYE_ENTRY_BYTES:
            raise self._corrupt("a table of names has an impossible size")
        end = Entry(Kind.END, offset=self._in.position - HEADER_BYTES)
        self._left = self._size
        self._path_bytes -= self._names.pop()
        return end

    def _header(self) -> int:
        """The type of the next item; `_size` has the bytes of its content."""
        stream = self._in
        if len(stream.held) - stream.at < HEADER_BYTES:
            stream.need(HEADER_BYTES)
        kind: int
        kind, full = HEADER.unpack_from(stream.held, stream.at)
        stream.at += HEADER_BYTES
        self._size = full - HEADER_BYTES
        limits = CONTENT_BYTES.get(kind)
        if limits is None:
            raise self._corrupt(f"unknown item {kind:016x}")
        if not limits[0] <= self._size <= limits[1]:
            raise self._corrupt(f"item {kind:016x} has an impossible size")
        return kind

    def _take(self) -> bytes:
        return self._in.take(self._size)

    def _corrupt(self, what: str) -> CorruptArchive:
        return CorruptArchive(f"pxar: {what}, at byte {self._in.position}", offset=self._in.position)
