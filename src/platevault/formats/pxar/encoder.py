"""Write a pxar archive as a stream: format 1, or format 2 when the contents of files go to a payload stream of their own.

Source: spec formats §8.2, §8.5, §8.6, §8.8; byte-identical to archives of proxmox-backup-client 4.2.3. Memory: what is collected before the
sink is called (`out_stream`), and 24 bytes for each entry of the directories that are open.
"""

from __future__ import annotations

import struct
from array import array

from platevault.errors import Invalid
from platevault.formats.pxar import items
from platevault.formats.pxar.goodbye import encode_goodbye
from platevault.formats.pxar.items import HEADER, HEADER_BYTES, MAX_NAME_BYTES, TWO, is_name, item
from platevault.formats.pxar.metadata import Stat
from platevault.formats.pxar.name_hash import name_hash
from platevault.formats.pxar.out_stream import Buffer, OutStream, Sink

_ENTRY = struct.Struct("<QQQQIIqII")  # the header of ENTRY and the stat in one
_PACK_PLAIN_FILE = struct.Struct("<xQQQQIIqIIQQ").pack  # end of the name, ENTRY, and the header of PAYLOAD
_PACK_HEADER = HEADER.pack
_ENTRY_BYTES = HEADER_BYTES + items.STAT.size
_NAME_EXTRA_BYTES = HEADER_BYTES + 1  # header and terminating zero


class Encoder:
    """Takes the entries in archive order: the root, its children, `end_directory` for every directory and the root, `finish`.

    `metadata` arguments are encoded items (`encode_metadata`). Raises Invalid for a name, target or order that no archive can have.
    """

    def __init__(self, sink: Sink, payload_sink: Sink | None = None, *, prelude: bytes | None = None) -> None:
        """prelude: opaque bytes at the beginning, format 2 only."""
        self._out = OutStream(sink)
        self._payload = None if payload_sink is None else OutStream(payload_sink)
        self._data = self._payload or self._out
        self._open: list[_Directory] = []
        self._left = 0  # bytes of content that the file in hand still needs
        self._ended = False
        if self._payload is not None:
            self._out.write(item(items.FORMAT_VERSION, items.ONE.pack(2)))
            self._payload.write(item(items.PAYLOAD_START, b""))
            if prelude is not None:
                self._out.write(item(items.PRELUDE, prelude))
        elif prelude is not None:
            raise Invalid("a prelude needs a payload stream")

    @property
    def position(self) -> int:
        """Where the next item begins in the archive, in bytes. Ask before adding a file to which a hard link may refer."""
        return self._out.position

    @property
    def payload_position(self) -> int:
        """Where the next payload begins, in bytes: in the payload stream when there is one."""
        return self._data.position

    def start_root(self, stat: Stat, metadata: bytes = b"") -> None:
        """The directory that the archive is of."""
        if self._open or self._ended:
            raise Invalid("an archive has one root")
        # The root of format 2 measures from byte 0 (spec formats §8.8).
        self._open.append(_Directory(0, 0 if self._payload else self._out.position))
        self._out.write(_entry(stat) + metadata)

    def start_directory(self, name: bytes, stat: Stat, metadata: bytes = b"") -> None:
        """Enter a directory; its children follow."""
        offset = self._start(name, b"")
        self._open.append(_Directory(offset, self._out.position))
        self._out.write(_entry(stat) + metadata)

    def end_directory(self) -> None:
        """Leave the directory: its goodbye table is written."""
        self._check_complete()
        done = self._open.pop()
        self._out.write(encode_goodbye(done.children, done.entry_offset, self._out.position))
        if self._open:
            self._end(done.offset)
        else:
            self._ended = True

    def add_file(self, name: bytes, stat: Stat, metadata: bytes, data: Buffer) -> None:
        """A regular file with its whole content."""
        self._file_head(name, stat, metadata, len(data))
        self._data.write(data)

    def add_plain_file(self, name: bytes, mode: int, flags: int, uid: int, gid: int, mtime: int, data: Buffer) -> None:
        """A regular file without metadata, with its whole content. mtime: in nanoseconds.

        The same as `add_file`, made with as few steps as possible: most entries of most archives are such files.
        """
        mtime_s, mtime_ns = divmod(mtime, 1_000_000_000)
        size, length = len(data), len(name)
        # Names of one and two bytes are left to the careful way, and with them `.` and `..`.
        if self._payload or self._left or not self._open or not 2 < length <= MAX_NAME_BYTES or b"/" in name or b"\0" in name:
            self.add_file(name, Stat(mode, flags, uid, gid, mtime_s, mtime_ns), b"", data)
            return
        out = self._out
        pending = out.pending
        start = len(pending)
        pending += _PACK_HEADER(items.FILENAME, _NAME_EXTRA_BYTES + length)
        pending += name
        pending += _PACK_PLAIN_FILE(
            items.ENTRY, _ENTRY_BYTES, mode, flags, uid, gid, mtime_s, mtime_ns, 0, items.PAYLOAD, HEADER_BYTES + size
        )
        self._open[-1].children.extend((name_hash(name), out.flushed + start, len(pending) - start + size))
        out.write(data)

    def start_file(self, name: bytes, stat: Stat, metadata: bytes, size: int) -> None:
        """A regular file of exactly `size` bytes, which come by `write`."""
        self._file_head(name, stat, metadata, size)
        self._left = size

    def write(self, data: Buffer) -> None:
        """The next piece of the file's content."""
        if len(data) > self._left:
            raise Invalid("more content than the file was announced with")
        self._left -= len(data)
        self._data.write(data)

    def add_reference(self, name: bytes, stat: Stat, metadata: bytes, *, payload_offset: int, size: int) -> None:
        """A regular file whose payload, header included, stands at `payload_offset` of the payload stream. Format 2 only."""
        offset = self._start(name, _entry(stat) + metadata + item(items.PAYLOAD_REF, TWO.pack(payload_offset, size)))
        self._end(offset)

    def skip_payload(self, size: int) -> None:
        """Count `size` bytes that others put into the payload stream, e.g. chunks used again."""
        if self._payload is None:
            raise Invalid("the archive has no payload stream")
        self._payload.skip(size)

    def add_symlink(self, name: bytes, stat: Stat, target: bytes) -> None:
        """target: 1 to 4096 bytes."""
        if not 0 < len(target) <= MAX_NAME_BYTES or b"\0" in target:
            raise Invalid(f"impossible target of a symbolic link: {target[:64]!r}", name=name)
        self._end(self._start(name, _entry(stat) + item(items.SYMLINK, target + b"\0")))

    def add_device(self, name: bytes, stat: Stat, major: int, minor: int) -> None:
        """Block or character device, as the mode says."""
        self._end(self._start(name, _entry(stat) + item(items.DEVICE, TWO.pack(major, minor))))

    def add_special(self, name: bytes, stat: Stat) -> None:
        """Fifo or socket, as the mode says."""
        self._end(self._start(name, _entry(stat)))

    def add_hardlink(self, name: bytes, first_offset: int, path: bytes) -> None:
        """Another name of a regular file that was added at `first_offset` as `path`, relative to the root."""
        offset = self._start(name, b"")
        content = items.ONE.pack(offset - first_offset) + path + b"\0"
        if not 0 < len(path) <= MAX_NAME_BYTES or first_offset >= offset:
            raise Invalid(f"a hard link to {path[:64]!r} is impossible", name=name)
        self._out.write(item(items.HARDLINK, content))
        self._end(offset)

    def finish(self) -> int:
        """Hand all that is left to the sinks; returns the length of the archive in bytes, without the payload stream."""
        if not self._ended:
            raise Invalid("the root is not complete")
        if self._payload is not None:
            self._payload.write(item(items.PAYLOAD_TAIL, b""))
            self._payload.flush()
        self._out.flush()
        return self._out.position

    def _file_head(self, name: bytes, stat: Stat, metadata: bytes, size: int) -> None:
        """All of a file but its content. Its goodbye entry covers the content, even when that goes elsewhere (spec formats §8.8)."""
        entry, payload = _entry(stat), HEADER.pack(items.PAYLOAD, HEADER_BYTES + size)
        if self._payload is None:
            offset = self._start(name, entry + metadata + payload)
        else:
            offset = self._start(name, entry + metadata + item(items.PAYLOAD_REF, TWO.pack(self._payload.position, size)))
            self._payload.write(payload)
        self._open[-1].children.append(self._out.position - offset + size)

    def _start(self, name: bytes, rest: bytes) -> int:
        """Begin an entry: its name and what is known behind it. Returns the offset of its FILENAME."""
        if not is_name(name):
            raise Invalid(f"impossible name of an entry: {name[:64]!r}", name=name)
        self._check_complete()
        offset = self._out.position
        self._open[-1].children.extend((name_hash(name), offset))
        self._out.write(b"%b%b\0%b" % (HEADER.pack(items.FILENAME, _NAME_EXTRA_BYTES + len(name)), name, rest))
        return offset

    def _end(self, offset: int) -> None:
        self._open[-1].children.append(self._out.position - offset)

    def _check_complete(self) -> None:
        if self._left or not self._open:
            raise Invalid("less content than the file was announced with" if self._left else "no directory is open")


class _Directory:
    """An open directory. `children`: hash, offset and bytes of each, as `encode_goodbye` takes them."""

    __slots__ = ("children", "entry_offset", "offset")

    def __init__(self, offset: int, entry_offset: int) -> None:
        self.children = array("Q")
        self.offset, self.entry_offset = offset, entry_offset


def _entry(stat: Stat) -> bytes:
    return _ENTRY.pack(items.ENTRY, _ENTRY_BYTES, *stat, 0)
