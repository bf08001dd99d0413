"""Catalog `catalog.pcat1`: the names in the archives of a snapshot, for listing without reading the archives.

Source: spec formats §7. A stream: magic, directory tables (children before parents), offset of the root table. The writer streams;
the reader needs random access by a function `read(offset, size)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from platevault.errors import Corrupt, Invalid

MAGIC = bytes.fromhex("91fd60f9c46758d5")
POINTER_BYTES = 8
MAX_NAME_BYTES = 4095
MAX_TABLE_BYTES = 64 * 1024 * 1024  # a million entries with names of 50 bytes
MAX_PATH_BYTES = 64 * 1024
MAX_VARINT_BYTES = 10
MIN_ENTRY_BYTES = 3  # kind, length, a name of one byte


class CorruptCatalog(Corrupt):
    """The bytes are no catalog."""


class EntryKind(Enum):
    """Kinds of directory entries; the value is the byte in the table."""

    DIRECTORY = b"d"
    FILE = b"f"
    SYMLINK = b"l"
    HARDLINK = b"h"
    BLOCK = b"b"
    CHARACTER = b"c"
    FIFO = b"p"
    SOCKET = b"s"


_BY_BYTE = {kind.value[0]: kind for kind in EntryKind}


class Entry(NamedTuple):
    """One entry. `size` in bytes and `mtime` in Unix seconds for files only; `table`: offset of a directory's own table."""

    kind: EntryKind
    name: bytes
    size: int = 0
    mtime: int = 0
    table: int = 0


_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def encode_unsigned(value: int) -> bytes:
    """7 bits a byte, least significant first, bit 7 set if more follow; at most 64 bits."""
    if 0 <= value < 0x4000:  # nearly all lengths and many sizes, of which a backup writes millions
        return _ONE_BYTE[value] if value < 0x80 else bytes((value & 0x7F | 0x80, value >> 7))
    if not 0 <= value < 2**64:
        raise Invalid(f"{value} does not fit into 64 bits")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(maxsize=4096)  # times: files that were installed together share theirs
def encode_signed(value: int) -> bytes:
    """As unsigned for >= 0; a negative number is its magnitude in groups that all have bit 7 set, then one zero byte."""
    if not -(2**63) <= value < 2**63:
        raise Invalid(f"{value} does not fit into 64 bits")
    if value >= 0:
        return encode_unsigned(value)
    magnitude, out = -value, bytearray()
    while magnitude:
        out.append(magnitude & 0x7F | 0x80)
        magnitude >>= 7
    out.append(0)
    return bytes(out)


def decode_unsigned(data: bytes, position: int) -> tuple[int, int]:
    """Value and position behind it. Raises CorruptCatalog."""
    value, end = _decode_groups(data, position, MAX_VARINT_BYTES)
    if value >= 2**64:
        raise CorruptCatalog("catalog: number is too large")
    return value, end


def decode_signed(data: bytes, position: int) -> tuple[int, int]:
    """Value and position behind it. Raises CorruptCatalog."""
    value, end = _decode_groups(data, position, MAX_VARINT_BYTES + 1)
    negative = end - position > 1 and data[end - 1] == 0
    if value >= 2**63 + negative:
        raise CorruptCatalog("catalog: number is too large")
    return -value if negative else value, end


def _decode_groups(data: bytes, position: int, most: int) -> tuple[int, int]:
    """Groups of 7 bits up to and with the first byte without bit 7, of at most `most` bytes; position behind it."""
    value = shift = 0
    for byte in data[position : position + most]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position + shift // 7
    raise CorruptCatalog("catalog: number is too long or cut off")


_FILE_HEADS = [b"f" + encode_unsigned(length) for length in range(MAX_NAME_BYTES + 1)]


class CatalogWriter:
    """Writes a catalog while an archive is being made: `start_directory`, entries, `end_directory`, nested; then `finish`.

    Memory: the open directories only.
    """

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self._offset = 0
        # Finished entries, or head and table offset of a child directory: its distance is known when the parent's table stands.
        self._open: list[tuple[bytes, list[bytes | tuple[bytes, int]]]] = [(b"", [])]
        self._write(MAGIC)

    def _write(self, data: bytes) -> None:
        self._sink(data)
        self._offset += len(data)

    def start_directory(self, name: bytes) -> None:
        """Enter a directory; on the first level the name of the archive on the server, e.g. `root.pxar.didx`."""
        self._check(name)
        self._open.append((name, []))

    def end_directory(self) -> None:
        """Leave it: its table is written, its entry goes into the parent's."""
        if len(self._open) < 2:
            raise Invalid("catalog: no directory is open")
        name, entries = self._open.pop()
        start = self._table(entries)
        self._open[-1][1].append((b"d" + encode_unsigned(len(name)) + name, start))

    def add_file(self, name: bytes, size: int, mtime: int) -> None:
        self._check(name)
        self._open[-1][1].append(_FILE_HEADS[len(name)] + name + encode_unsigned(size) + encode_signed(mtime))

    def add(self, kind: EntryKind, name: bytes) -> None:
        """A symlink, hard link, device, fifo or socket."""
        self._check(name)
        self._open[-1][1].append(kind.value + encode_unsigned(len(name)) + name)

    @staticmethod
    def _check(name: bytes) -> None:
        if not _is_name(name):
            raise Invalid(f"catalog: impossible name {name[:64]!r}")

    def _table(self, entries: list[bytes | tuple[bytes, int]]) -> int:
        start = self._offset
        parts = [encode_unsigned(len(entries))]
        for entry in entries:
            if isinstance(entry, tuple):
                head, child = entry
                parts.append(head + encode_unsigned(start - child))
            else:
                parts.append(entry)
        body = b"".join(parts)
        self._write(encode_unsigned(len(body)) + body)
        return start

    def finish(self) -> int:
        """Write root table and pointer; returns the length of the catalog in bytes."""
        if len(self._open) != 1:
            raise Invalid("catalog: a directory is still open")
        root = self._table(self._open[0][1])
        self._write(root.to_bytes(POINTER_BYTES, "little"))
        return self._offset


class CatalogReader:
    """Reads tables by `read(offset, size)`, which gives exactly that many bytes of a catalog of `size` bytes.

    Catalogs come from clients: whatever they say, reading takes the memory of the open directories' tables, each at most 64 MiB, and
    a walk ends after as many entries as fit into the catalog.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read, self._size = read, size
        if size < len(MAGIC) + 2 + POINTER_BYTES or read(0, len(MAGIC)) != MAGIC:
            raise CorruptCatalog("not a catalog")
        self.root = int.from_bytes(read(size - POINTER_BYTES, POINTER_BYTES), "little")

    def entries(self, table: int) -> Iterator[Entry]:
        """The entries of the table at this offset, one by one. Raises CorruptCatalog, possibly after the first ones."""
        last = self._size - POINTER_BYTES
        if not len(MAGIC) <= table < last:
            raise CorruptCatalog("catalog: table outside of the catalog")
        head = self._read(table, min(MAX_VARINT_BYTES, last - table))
        length, start = decode_unsigned(head, 0)
        if length > min(MAX_TABLE_BYTES, last - table - start):
            raise CorruptCatalog("catalog: table is too long", expected=last - table - start, got=length)
        return _parse_table(self._read(table + start, length), table)

    def walk(self, table: int | None = None, path: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """Every entry with its path, depth first, in stored order.

        Child tables stand before their parents, so it ends; several directories may claim the same child, so entries are counted.
        """
        left = self._size // MIN_ENTRY_BYTES
        open_tables = [(path, self.entries(self.root if table is None else table))]
        while open_tables:
            parent, rest = open_tables[-1]
            if (entry := next(rest, None)) is None:
                open_tables.pop()
                continue
            name = parent + b"/" + entry.name if parent else entry.name
            left -= 1
            if left < 0 or len(name) > MAX_PATH_BYTES:
                raise CorruptCatalog("catalog: a path is too long, or a table is used twice")
            yield name, entry
            if entry.kind is EntryKind.DIRECTORY:
                open_tables.append((name, self.entries(entry.table)))


def _is_name(name: bytes) -> bool:
    return 1 <= len(name) <= MAX_NAME_BYTES and b"/" not in name and name not in (b".", b"..")


def _parse_table(data: bytes, table: int) -> Iterator[Entry]:
    count, position = decode_unsigned(data, 0)
    if count > len(data) // MIN_ENTRY_BYTES:
        raise CorruptCatalog("catalog: table is too short for its entries", expected=count, got=len(data))
    for _ in range(count):
        kind = _BY_BYTE.get(data[position]) if position < len(data) else None
        if kind is None:
            raise CorruptCatalog("catalog: unknown kind of entry, or none at all")
        length, position = decode_unsigned(data, position + 1)
        name, position = data[position : position + length], position + length
        if position > len(data) or not _is_name(name):
            raise CorruptCatalog("catalog: impossible name")
        size = mtime = child = 0
        if kind is EntryKind.DIRECTORY:
            distance, position = decode_unsigned(data, position)
            child = table - distance
            if distance == 0 or child < len(MAGIC):
                raise CorruptCatalog("catalog: directory points nowhere")
        elif kind is EntryKind.FILE:
            size, position = decode_unsigned(data, position)
            mtime, position = decode_signed(data, position)
        yield Entry(kind, name, size, mtime, child)
    if position != len(data):
        raise CorruptCatalog("catalog: table does not end after its entries")
