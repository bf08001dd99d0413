"""Catalogs: known and recorded ones, what was written is read back, hostile ones end early with CorruptCatalog."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.errors import Invalid
from platevault.formats import catalog
from platevault.formats.catalog import CatalogReader, CatalogWriter, CorruptCatalog, Entry, EntryKind

FOLDER = Path(__file__).parents[1] / "vectors" / "formats"
VECTORS = json.loads((FOLDER / "catalog.json").read_text())
KNOWN = bytes.fromhex(VECTORS["file_hex"])
MIB = 1024 * 1024
SIGNS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"\\": b"\\", b'"': b'"', b"'": b"'"}  # as the listing escapes them


@dataclass(frozen=True)
class Node:
    """A directory or another entry of a tree to be written."""

    kind: EntryKind
    name: bytes
    size: int = 0
    mtime: int = 0
    children: tuple[Node, ...] = field(default=())


names = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and name not in (b".", b".."))
leaves = st.builds(Node, st.just(EntryKind.FILE), names, st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)) | st.builds(
    Node, st.sampled_from([kind for kind in EntryKind if kind not in (EntryKind.DIRECTORY, EntryKind.FILE)]), names
)
trees = st.recursive(
    leaves | st.builds(Node, st.just(EntryKind.DIRECTORY), names),
    lambda inner: st.builds(Node, st.just(EntryKind.DIRECTORY), names, children=st.lists(inner, max_size=5).map(tuple)),
    max_leaves=25,
)


def node_of(item: list[Any]) -> Node:
    kind, name = EntryKind(item[0].encode()), item[1].encode()
    if kind is EntryKind.DIRECTORY:
        return Node(kind, name, children=tuple(node_of(child) for child in item[2]))
    return Node(kind, name, *item[2:])


def write(writer: CatalogWriter, node: Node) -> None:
    if node.kind is EntryKind.DIRECTORY:
        writer.start_directory(node.name)
        for child in node.children:
            write(writer, child)
        writer.end_directory()
    elif node.kind is EntryKind.FILE:
        writer.add_file(node.name, node.size, node.mtime)
    else:
        writer.add(node.kind, node.name)


def written(nodes: tuple[Node, ...]) -> bytes:
    parts: list[bytes] = []
    writer = CatalogWriter(parts.append)
    for node in nodes:
        write(writer, node)
    assert writer.finish() == sum(map(len, parts))
    return b"".join(parts)


def reader_of(raw: bytes) -> CatalogReader:
    """Reads like a file: never more than is there."""
    return CatalogReader(lambda offset, size: raw[offset : offset + size], len(raw))


def read_back(reader: CatalogReader, table: int) -> tuple[Node, ...]:
    def node(entry: Entry) -> Node:
        children = read_back(reader, entry.table) if entry.kind is EntryKind.DIRECTORY else ()
        return Node(entry.kind, entry.name, entry.size, entry.mtime, children)

    return tuple(node(entry) for entry in reader.entries(table))


def flat(nodes: tuple[Node, ...], path: bytes = b"") -> Iterator[tuple[bytes, EntryKind]]:
    for node in nodes:
        where = path + b"/" + node.name if path else node.name
        yield where, node.kind
        yield from flat(node.children, where)


@pytest.mark.parametrize(("value", "encoded"), VECTORS["u64"], ids=str)
def test_unsigned_numbers(value: int, encoded: str) -> None:
    assert catalog.encode_unsigned(value).hex() == encoded
    assert catalog.decode_unsigned(bytes.fromhex(encoded) + b"rest", 0) == (value, len(encoded) // 2)


@pytest.mark.parametrize(("value", "encoded"), VECTORS["i64"], ids=str)
def test_signed_numbers(value: int, encoded: str) -> None:
    assert catalog.encode_signed(value).hex() == encoded
    assert catalog.decode_signed(bytes.fromhex(encoded) + b"rest", 0) == (value, len(encoded) // 2)


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_every_number_is_read_back(value: int, before: bytes) -> None:
    raw = before + catalog.encode_signed(value)
    assert catalog.decode_signed(raw, len(before)) == (value, len(raw))
    raw = before + catalog.encode_unsigned(value + 2**63)
    assert catalog.decode_unsigned(raw, len(before)) == (value + 2**63, len(raw))


@pytest.mark.parametrize("value", [-1, 2**64])
def test_what_is_no_unsigned_number(value: int) -> None:
    with pytest.raises(Invalid):
        catalog.encode_unsigned(value)


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**63])
def test_what_is_no_signed_number(value: int) -> None:
    with pytest.raises(Invalid):
        catalog.encode_signed(value)


@pytest.mark.parametrize("raw", ["", "80", "ffffffffffffffffff02", "ffffffffffffffffffff01", "8080808080808080808080808000"])
def test_bad_unsigned_numbers(raw: str) -> None:
    with pytest.raises(CorruptCatalog):
        catalog.decode_unsigned(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("raw", ["", "80", "ffffffffffffffffff01", "8180808080808080808100", "ffffffffffffffffffff00", "80" * 11 + "00"])
def test_bad_signed_numbers(raw: str) -> None:
    with pytest.raises(CorruptCatalog):
        catalog.decode_signed(bytes.fromhex(raw), 0)


@given(st.binary(max_size=14))
def test_any_bytes_are_a_number_in_range_or_our_error(raw: bytes) -> None:
    for decode, low, high in ((catalog.decode_unsigned, 0, 2**64), (catalog.decode_signed, -(2**63), 2**63)):
        try:
            value, position = decode(raw, 0)
        except CorruptCatalog:
            continue
        assert low <= value < high
        assert position <= len(raw)


def test_the_known_catalog() -> None:
    tree = tuple(node_of(item) for item in VECTORS["tree"])
    assert written(tree) == KNOWN
    assert len(KNOWN) == VECTORS["file_length"]
    reader = reader_of(KNOWN)
    assert read_back(reader, reader.root) == tree


def test_the_layout_of_the_known_catalog() -> None:
    reader = reader_of(KNOWN)
    tables = [part for part in VECTORS["layout"] if part["what"].startswith("table of")]
    assert len(tables) == 4
    for part in tables:
        found = list(reader.entries(part["offset"]))
        assert [entry.name.decode() for entry in found] == [entry["name"] for entry in part["entries"]]
        assert [entry.table for entry in found] == [entry.get("child_table", 0) for entry in part["entries"]]


def unescaped(text: str) -> bytes:
    """A line of the recorded listing without its escapes; single bytes are shown as \\xNN."""

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return chr(int(found[1], 16)).encode()
        return bytes([int(found[2], 16)]) if found[2] else SIGNS[found[3]]

    return re.sub(rb"\\(?:u\{([0-9a-f]+)\}|x([0-9a-fA-F]{2})|(.))", plain, text.encode())


def test_the_recorded_catalog_is_listed_as_its_writer_lists_it() -> None:
    def line(path: bytes, entry: Entry) -> bytes:
        tail = f" {entry.size} {datetime.fromtimestamp(entry.mtime, UTC):%Y-%m-%dT%H:%M:%SZ}" if entry.kind is EntryKind.FILE else ""
        return b'%b "./%b"%b' % (entry.kind.value, path, tail.encode())

    raw = (FOLDER / "full.catalog.pcat1").read_bytes()
    listed = (FOLDER / "full.catalog-dump.txt").read_text().splitlines()
    assert [line(path, entry) for path, entry in reader_of(raw).walk()] == [unescaped(text) for text in listed]


def test_the_recorded_catalog_is_written_again_to_the_byte() -> None:
    raw = (FOLDER / "full.catalog.pcat1").read_bytes()
    assert written(read_back(reader_of(raw), reader_of(raw).root)) == raw


@given(st.lists(trees, max_size=4).map(tuple))
def test_what_was_written_is_read_back(nodes: tuple[Node, ...]) -> None:
    reader = reader_of(written(nodes))
    assert read_back(reader, reader.root) == nodes
    assert [(path, entry.kind) for path, entry in reader.walk()] == list(flat(nodes))


def test_a_walk_can_begin_at_a_directory() -> None:
    reader = reader_of(KNOWN)
    archive = next(reader.entries(reader.root))
    assert [path for path, _ in reader.walk(archive.table, archive.name)] == [
        b"root.pxar.didx/a.txt",
        b"root.pxar.didx/sub",
        b"root.pxar.didx/sub/b.bin",
        b"root.pxar.didx/sub/link",
        b"root.pxar.didx/z-hard",
    ]


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"x" * 4096])
def test_impossible_names_are_not_written(name: bytes) -> None:
    writer = CatalogWriter(lambda data: None)
    with pytest.raises(Invalid):
        writer.start_directory(name)
    with pytest.raises(Invalid):
        writer.add_file(name, 1, 1)


def test_directories_are_closed_in_order() -> None:
    writer = CatalogWriter(lambda data: None)
    with pytest.raises(Invalid):
        writer.end_directory()
    writer.start_directory(b"root.pxar.didx")
    with pytest.raises(Invalid):
        writer.finish()


def test_a_deep_tree_needs_no_stack() -> None:
    parts: list[bytes] = []
    writer = CatalogWriter(parts.append)
    for _ in range(3000):
        writer.start_directory(b"d")
    for _ in range(3000):
        writer.end_directory()
    writer.finish()
    assert sum(1 for _ in reader_of(b"".join(parts)).walk()) == 3000


def table(*entries: bytes, count: int | None = None) -> bytes:
    body = catalog.encode_unsigned(len(entries) if count is None else count) + b"".join(entries)
    return catalog.encode_unsigned(len(body)) + body


def file_entry(name: bytes) -> bytes:
    return b"f" + catalog.encode_unsigned(len(name)) + name + b"\0\0"


def directory_entry(name: bytes, distance: int) -> bytes:
    return b"d" + catalog.encode_unsigned(len(name)) + name + catalog.encode_unsigned(distance)


def with_root(raw: bytes, root: int) -> bytes:
    return raw + root.to_bytes(8, "little")


def walked(raw: bytes, most: int = 1_000_000) -> int:
    """Number of entries; fails the test rather than never end."""
    found = sum(1 for _ in islice(reader_of(raw).walk(), most))
    assert found < most
    return found


BAD_TABLES = {
    "unknown kind": table(b"x\x01a"),
    "no name": table(b"l\0"),
    "slash": table(b"l\x03a/b"),
    "this directory": table(b"l\x01."),
    "the one above": table(b"l\x02.."),
    "long name": table(b"l" + catalog.encode_unsigned(4096) + b"x" * 4096),
    "name beyond the table": table(b"l\x05ab"),
    "huge name": table(b"l" + catalog.encode_unsigned(2**63) + b"ab"),
    "points at itself": table(directory_entry(b"a", 0)),
    "points before the magic": table(directory_entry(b"a", 1)),
    "points before the file": table(directory_entry(b"a", 2**64 - 1)),
    "too few entries": table(file_entry(b"a"), count=2),
    "too many entries": table(file_entry(b"a"), file_entry(b"b"), count=1),
    "a great many entries": table(file_entry(b"a"), count=2**64 - 1),
    "empty table": b"\0",
    "longer than the file": b"\x7f",
    "much longer than the file": catalog.encode_unsigned(2**64 - 1),
    "endless number": b"\x80" * 12,
}


@pytest.mark.parametrize("bad", BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables_are_refused(bad: bytes) -> None:
    raw = with_root(catalog.MAGIC + bad, len(catalog.MAGIC))
    with pytest.raises(CorruptCatalog):
        walked(raw)


@pytest.mark.parametrize("root", [0, 7, 10**6, 2**64 - 1])
def test_a_root_outside_of_the_catalog_is_refused(root: int) -> None:
    with pytest.raises(CorruptCatalog):
        walked(with_root(catalog.MAGIC + table(file_entry(b"a")), root))


@pytest.mark.parametrize("raw", [b"", catalog.MAGIC, catalog.MAGIC + bytes(9), b"\0" * 40, KNOWN[1:]])
def test_these_are_no_catalogs(raw: bytes) -> None:
    with pytest.raises(CorruptCatalog):
        reader_of(raw)


def test_tables_that_several_directories_share_do_not_multiply() -> None:
    """Fifty tables of two directories each, both the table before: 2^50 entries in 500 bytes."""
    raw = catalog.MAGIC + table(file_entry(b"a"))
    last = len(catalog.MAGIC)
    for _ in range(50):
        start = len(raw)
        raw += table(directory_entry(b"a", start - last), directory_entry(b"b", start - last))
        last = start
    with pytest.raises(CorruptCatalog):
        walked(with_root(raw, last))


def test_a_large_directory_is_read_in_the_memory_of_its_table() -> None:
    """Somebody else's catalog says how many entries there are: three bytes each, and nothing of their objects stays."""
    raw = with_root(catalog.MAGIC + table(*[b"l\x01a"] * 60_000), len(catalog.MAGIC))
    tracemalloc.start()
    try:
        assert walked(raw) == 60_000
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_endless_paths_are_refused() -> None:
    raw, last = catalog.MAGIC + table(), len(catalog.MAGIC)
    for _ in range(50):
        start = len(raw)
        raw += table(directory_entry(b"x" * 4000, start - last))
        last = start
    with pytest.raises(CorruptCatalog, match="path"):
        walked(with_root(raw, last))


@given(st.binary(max_size=60), st.integers(0, 70))
def test_other_bytes_raise_only_our_error(body: bytes, root: int) -> None:
    try:
        walked(with_root(catalog.MAGIC + body, root))
    except CorruptCatalog:
        return


@given(st.data())
def test_damage_raises_only_our_error(data: st.DataObject) -> None:
    raw = bytearray((FOLDER / "full.catalog.pcat1").read_bytes() if data.draw(st.booleans()) else KNOWN)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        walked(bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw))
    except CorruptCatalog:
        return


def test_a_read_that_gives_less_is_noticed() -> None:
    def read(offset: int, size: int) -> bytes:
        return KNOWN[offset : offset + min(size, 20)]

    with pytest.raises(CorruptCatalog):
        list(CatalogReader(read, len(KNOWN)).walk())
