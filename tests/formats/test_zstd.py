"""zstd frames: everything that existing servers accept is read in full, everything else raises only CorruptFrame, in bounded memory."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kit.byte_streams import noise
from platevault.errors import Unavailable
from platevault.formats import zstd
from platevault.formats.zstd import CorruptFrame

MIB = 1024 * 1024
TEXT = b"every word twice, every word twice. " * 400
SKIPPABLE = struct.pack("<II", 0x184D2A50, 4) + b"skip"
EMPTY = zstandard.ZstdCompressor().compress(b"")


def frame(data: bytes, *, size: bool = True, checksum: bool = False) -> bytes:
    """One frame with or without its content size, as newer and older writers make them."""
    return zstandard.ZstdCompressor(level=1, write_content_size=size, write_checksum=checksum).compress(data)


def frame_of_runs(runs: int, run_bytes: int, *, window_log: int = 20, content_size: int | None = None) -> bytes:
    """A hand-made frame: each run takes four bytes, so that one MiB of it becomes many GiB."""
    descriptor = 0 if content_size is None else 3 << 6
    head = zstd.FRAME_MAGIC + bytes([descriptor, window_log - 10 << 3])
    head += b"" if content_size is None else struct.pack("<Q", content_size)
    run = struct.pack("<I", run_bytes << 3 | 1 << 1)[:3] + b"x"
    last = struct.pack("<I", run_bytes << 3 | 1 << 1 | 1)[:3] + b"x"
    return head + run * (runs - 1) + last


@given(st.binary(max_size=2000), st.integers(0, 30))
def test_what_was_compressed_decompresses(data: bytes, times: int) -> None:
    content = data * times
    for frames in (zstd.compress(content), frame(content, size=False), frame(content, checksum=True)):
        assert zstd.decompress(frames, max_bytes=len(content)) == content


def test_a_compressed_frame_states_its_size() -> None:
    assert zstandard.get_frame_parameters(zstd.compress(TEXT)).content_size == len(TEXT)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken(kind: type) -> None:
    assert zstd.decompress(kind(zstd.compress(kind(TEXT))), max_bytes=len(TEXT)) == TEXT


@given(
    st.lists(
        st.sampled_from([SKIPPABLE, EMPTY, frame(TEXT), frame(TEXT, size=False), frame(b"one", checksum=True)]), min_size=1, max_size=5
    )
)
def test_several_frames_are_read_one_after_the_other(parts: list[bytes]) -> None:
    content = {frame(TEXT): TEXT, frame(TEXT, size=False): TEXT, frame(b"one", checksum=True): b"one"}
    assert zstd.decompress(b"".join(parts), max_bytes=MIB) == b"".join(content.get(part, b"") for part in parts)


@given(
    st.sampled_from([frame(TEXT), frame(TEXT, size=False), frame(TEXT, checksum=True), EMPTY, SKIPPABLE, EMPTY + frame(TEXT)]), st.data()
)
def test_a_frame_that_is_cut_off_is_noticed(whole: bytes, data: st.DataObject) -> None:
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    if part == EMPTY:
        return
    with pytest.raises(CorruptFrame):
        zstd.decompress(part, max_bytes=MIB)


@pytest.mark.parametrize("first", [frame(TEXT), frame(TEXT, size=False), EMPTY, SKIPPABLE], ids=["size", "no size", "empty", "skippable"])
@pytest.mark.parametrize("rest", [b"\0", b"rest", b"\x28\xb5\x2f", bytes(40)])
def test_what_follows_must_be_a_frame(first: bytes, rest: bytes) -> None:
    with pytest.raises(CorruptFrame):
        zstd.decompress(first + rest, max_bytes=MIB)


def test_a_wrong_frame_checksum_is_noticed() -> None:
    for size in (True, False):
        damaged = bytearray(frame(TEXT, size=size, checksum=True))
        damaged[-1] ^= 1
        with pytest.raises(CorruptFrame):
            zstd.decompress(damaged, max_bytes=MIB)


@pytest.mark.parametrize("content_size", [None, 1000, 0])
def test_a_window_too_large_for_other_readers_is_refused(content_size: int | None) -> None:
    large = frame_of_runs(1, 1000, window_log=30, content_size=content_size)
    for frames in (large, SKIPPABLE + large):
        with pytest.raises(CorruptFrame):
            zstd.decompress(frames, max_bytes=MIB)


def test_the_largest_window_of_other_readers_is_accepted() -> None:
    for content_size in (None, 1000):
        assert zstd.decompress(frame_of_runs(1, 1000, window_log=27, content_size=content_size), max_bytes=MIB) == b"x" * 1000


def test_a_dictionary_is_refused() -> None:
    words = zstandard.train_dictionary(4096, [noise(number, 300) * 4 for number in range(50)])
    made = zstandard.ZstdCompressor(dict_data=words).compress(TEXT)
    for frames in (made, EMPTY + made):
        with pytest.raises(CorruptFrame, match="dictionary"):
            zstd.decompress(frames, max_bytes=MIB)


def test_a_false_content_size_is_noticed() -> None:
    for false in (999, 1001):
        with pytest.raises(CorruptFrame):
            zstd.decompress(frame_of_runs(1, 1000, content_size=false), max_bytes=MIB)


@pytest.mark.parametrize("size", [True, False])
def test_the_limit_is_exact(size: bool) -> None:
    frames = frame(TEXT, size=size)
    assert zstd.decompress(frames, max_bytes=len(TEXT)) == TEXT
    for content in (frames, EMPTY + frames):
        with pytest.raises(CorruptFrame, match="larger than allowed"):
            zstd.decompress(content, max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize("bomb", [frame_of_runs(60_000, 131_072), frame_of_runs(4, 1000) + frame_of_runs(60_000, 131_072)])
def test_a_bomb_is_noticed_in_little_memory(bomb: bytes) -> None:
    """240 KB that would become 7.3 GiB."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFrame, match="larger than allowed"):
            zstd.decompress(bomb, max_bytes=MIB)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=300), st.booleans())
def test_other_bytes_raise_only_our_error(raw: bytes, magic: bool) -> None:
    try:
        found = zstd.decompress((zstd.FRAME_MAGIC if magic else b"") + raw, max_bytes=MIB)
    except CorruptFrame:
        return
    assert len(found) <= MIB


@given(st.data())
def test_a_flipped_bit_raises_only_our_error(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([frame(TEXT), frame(TEXT, size=False), EMPTY + frame(TEXT), SKIPPABLE + frame(TEXT)])))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = zstd.decompress(raw, max_bytes=MIB)
    except CorruptFrame:
        return
    assert len(found) <= MIB


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def decompress(self, *_: object, **__: object) -> bytes:
            raise MemoryError

    monkeypatch.setattr(zstd, "_decompressor", Exhausted)
    with pytest.raises(Unavailable):
        zstd.decompress(frame(TEXT), max_bytes=MIB)
