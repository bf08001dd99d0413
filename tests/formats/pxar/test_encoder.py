"""The encoder refuses what no archive can hold, and hands on the same bytes however it gets them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.pxar_trees import FILE, FOLDER, LINK, encode, file, folder
from platevault.errors import Invalid
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.goodbye import heap_order
from platevault.formats.pxar.metadata import Metadata, encode_metadata
from platevault.formats.pxar.name_hash import name_hash
from platevault.formats.pxar.out_stream import FLUSH_BYTES


def started() -> tuple[Encoder, bytearray]:
    out = bytearray()
    encoder = Encoder(out.extend)
    encoder.start_root(FOLDER)
    return encoder, out


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0", b"x" * 4097])
def test_impossible_names(name: bytes) -> None:
    encoder, _ = started()
    with pytest.raises(Invalid):
        encoder.add_file(name, FILE, b"", b"")
    with pytest.raises(Invalid):
        encoder.start_directory(name, FOLDER)


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 4097])
def test_impossible_link_targets(target: bytes) -> None:
    encoder, _ = started()
    with pytest.raises(Invalid):
        encoder.add_symlink(b"a", LINK, target)


def unfinished_file(encoder: Encoder) -> None:
    encoder.start_file(b"a", FILE, b"", 3)
    encoder.write(b"12")


@pytest.mark.parametrize(
    "action",
    [
        lambda encoder: encoder.write(b"12"),
        lambda encoder: encoder.end_directory(),
        lambda encoder: encoder.add_file(b"b", FILE, b"", b""),
        lambda encoder: encoder.finish(),
    ],
)
def test_a_file_gets_exactly_what_was_announced(action: Callable[[Encoder], object]) -> None:
    encoder, _ = started()
    unfinished_file(encoder)
    with pytest.raises(Invalid):
        action(encoder)


def test_a_root_is_not_finished_twice_nor_too_early() -> None:
    encoder, _ = started()
    with pytest.raises(Invalid):
        encoder.finish()
    encoder.end_directory()
    with pytest.raises(Invalid):
        encoder.start_root(FOLDER)
    with pytest.raises(Invalid):
        encoder.add_file(b"a", FILE, b"", b"")


@pytest.mark.parametrize(
    "metadata", [Metadata(((b"user.big", bytes(65_790)),)), Metadata(((b"", b""),)), Metadata(capabilities=bytes(65_792))]
)
def test_attributes_that_do_not_fit(metadata: Metadata) -> None:
    with pytest.raises(Invalid):
        encode_metadata(metadata)


def test_pieces_give_the_same_as_the_whole() -> None:
    content = bytes(range(256)) * 5000
    encoder, out = started()
    encoder.start_file(b"a", FILE, b"", len(content))
    for start in range(0, len(content), 300_000):
        encoder.write(memoryview(content)[start : start + 300_000])
    encoder.end_directory()
    encoder.finish()
    assert bytes(out) == encode(folder(a=file(content)))


def test_small_files_are_collected() -> None:
    pieces: list[int] = []
    encoder = Encoder(lambda data: pieces.append(len(data)))
    encoder.start_root(FOLDER)
    for number in range(3000):
        encoder.add_file(b"%d" % number, FILE, b"", bytes(1000))
    encoder.end_directory()
    assert encoder.finish() == sum(pieces)
    assert all(FLUSH_BYTES <= size < FLUSH_BYTES + 2000 for size in pieces[:-1])


@given(st.integers(0, 3000))
def test_the_goodbye_table_is_a_search_tree(count: int) -> None:
    order = heap_order(count)
    assert sorted(order) == list(range(count))
    for rank in range(0, count, max(1, count // 20)):
        place = 0
        while order[place] != rank:
            place = 2 * place + (1 if rank < order[place] else 2)
            assert place < count


def test_every_name_is_found_through_the_goodbye_table() -> None:
    names = [f"file-{number}".encode() for number in range(1500)]
    raw = encode(folder(**{name.decode(): file(b"") for name in names}))
    offsets = {entry.name: entry.offset for entry in Decoder(BytesIO(raw).read)}
    table = memoryview(raw)[-24 * 1501 :].cast("Q")
    goodbye = len(raw) - 24 * 1501 - 16
    assert table[-3:].tolist() == [0xEF5EED5B753E1555, goodbye, 16 + 24 * 1501]
    for name in names:
        place = 0
        while table[3 * place] != name_hash(name):
            place = 2 * place + (1 if name_hash(name) < table[3 * place] else 2)
        assert goodbye - table[3 * place + 1] == offsets[name]
