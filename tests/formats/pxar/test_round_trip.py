"""What was encoded decodes; other bytes raise only our error, and do not make the decoder keep what they promise."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.pxar_trees import Node, decode, encode, file, folder, trees
from platevault.formats.pxar import items
from platevault.formats.pxar.decoder import MAX_DEPTH, Decoder
from platevault.formats.pxar.items import HEADER, STAT, CorruptArchive, item

ENTRY = item(items.ENTRY, STAT.pack(0o40755, 0, 0, 0, 0, 0, 0))
MIB = 1024 * 1024


def read_all(read: Callable[[int], bytes]) -> None:
    decoder = Decoder(read)
    for _ in decoder:
        for _ in decoder.content():
            pass


@given(trees)
def test_what_was_encoded_decodes(tree: Node) -> None:
    assert decode(BytesIO(encode(tree)).read) == tree


@given(trees, st.integers(1, 100))
def test_pieces_of_any_size_give_the_same(tree: Node, size: int) -> None:
    raw = BytesIO(encode(tree))
    assert decode(lambda _: raw.read(size)) == tree


@given(trees)
def test_content_that_is_not_read_is_passed_over(tree: Node) -> None:
    kinds = [entry.kind for entry in Decoder(BytesIO(encode(tree)).read)]
    decoder = Decoder(BytesIO(encode(tree)).read)
    assert kinds == [entry.kind for entry in decoder if not list(decoder.content()) or True]


@given(st.binary(max_size=500))
def test_other_bytes_raise_only_our_error(raw: bytes) -> None:
    with pytest.raises(CorruptArchive):
        read_all(BytesIO(raw).read)


@given(st.binary(max_size=200))
def test_other_bytes_behind_a_good_beginning_raise_only_our_error(raw: bytes) -> None:
    with pytest.raises(CorruptArchive):
        read_all(BytesIO(ENTRY + raw).read)


@given(trees, st.data())
def test_a_cut_archive_raises_our_error(tree: Node, data: st.DataObject) -> None:
    raw = encode(tree)
    with pytest.raises(CorruptArchive):
        read_all(BytesIO(raw[: data.draw(st.integers(0, len(raw) - 1))]).read)


@given(trees, st.data())
def test_changed_bytes_decode_or_raise_only_our_error(tree: Node, data: st.DataObject) -> None:
    raw = bytearray(encode(tree))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CorruptArchive):
        read_all(BytesIO(raw).read)


@given(trees, st.binary(min_size=1, max_size=40))
def test_nothing_may_follow(tree: Node, more: bytes) -> None:
    with pytest.raises(CorruptArchive, match="follows"):
        read_all(BytesIO(encode(tree) + more).read)


@pytest.mark.parametrize(
    "kind", [items.XATTR, items.FCAPS, items.FILENAME, items.SYMLINK, items.HARDLINK, items.ACL_USER, items.PRELUDE, items.GOODBYE, 17]
)
def test_a_promised_size_is_not_believed(kind: int) -> None:
    with pytest.raises(CorruptArchive):
        read_all(BytesIO(ENTRY + HEADER.pack(kind, 2**63)).read)


def peak_of(read: Callable[[int], bytes]) -> int:
    """Bytes of memory that reading takes at most."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptArchive):
            read_all(read)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def endless(first: bytes, block: bytes) -> Callable[[int], bytes]:
    """Reads `first`, then the same block for ever."""
    pieces = chain([first], repeat(block))
    return lambda _: next(pieces)


def test_metadata_without_end_takes_bounded_memory() -> None:
    block = item(items.XATTR, b"user.a\0" + bytes(60_000)) * 16
    assert peak_of(endless(ENTRY, block)) < 80 * MIB


def test_content_without_end_takes_bounded_memory() -> None:
    first = ENTRY + item(items.FILENAME, b"a\0") + ENTRY + HEADER.pack(items.PAYLOAD, 2**60)
    pieces = chain([first], repeat(bytes(MIB), 200))
    assert peak_of(lambda _: next(pieces, b"")) < 8 * MIB


def test_directories_without_end_take_bounded_memory() -> None:
    assert peak_of(endless(ENTRY, (item(items.FILENAME, b"a" * 15 + b"\0") + ENTRY) * 1000)) < 20 * MIB


def test_directories_may_be_deep() -> None:
    depth = MAX_DEPTH - 1
    assert MAX_DEPTH * len("d/") <= MIB
    goodbye = item(items.GOODBYE, bytes(24))
    raw = ENTRY + (item(items.FILENAME, b"d\0") + ENTRY) * depth + goodbye * (depth + 1)
    assert sum(1 for _ in Decoder(BytesIO(raw).read)) == 2 * (depth + 1)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/etc", b"../x", b"a\0b", b"x" * 4097])
def test_names_that_lead_elsewhere_are_refused(name: bytes) -> None:
    raw = ENTRY + item(items.FILENAME, name + b"\0") + ENTRY + item(items.GOODBYE, bytes(24)) * 2
    with pytest.raises(CorruptArchive):
        read_all(BytesIO(raw).read)


def test_an_old_entry_is_read() -> None:
    old = item(items.ENTRY_V1, items.STAT_V1.pack(0o40700, 0, 1, 2, 1_500_000_000))
    entry = Decoder(BytesIO(old + item(items.GOODBYE, bytes(24))).read).next()
    assert entry is not None
    assert (entry.stat.uid, entry.stat.mtime_s, entry.stat.mtime_ns) == (1, 1, 500_000_000)


def test_metadata_that_may_stand_once_stands_once() -> None:
    raw = ENTRY + item(items.QUOTA_PROJID, bytes(8)) * 2 + item(items.GOODBYE, bytes(24))
    with pytest.raises(CorruptArchive, match="twice"):
        read_all(BytesIO(raw).read)


def test_one_entry_can_be_read_from_its_place() -> None:
    raw = encode(folder(a=file(b"first"), b=file(b"second")))
    place = next(entry.offset for entry in Decoder(BytesIO(raw).read) if entry.name == b"b")
    decoder = Decoder.of_entry(BytesIO(raw[place:]).read, place)
    entry = decoder.next()
    assert entry is not None
    assert (entry.name, entry.offset, b"".join(decoder.content())) == (b"b", place, b"second")
