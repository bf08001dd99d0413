"""Known chunks agree with a dictionary that is filled in the same order, and take no more memory for what is registered again."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats import dynamic_index
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.services.known_chunks import KnownChunks

UUID_1 = UUID(int=1)
# Few digests, some with zero bytes at their ends: numpy takes those for padding.
DIGESTS = [bytes([number]) + bytes(31) for number in range(4)] + [bytes(31) + bytes([number]) for number in range(1, 4)] + [b"\xff" * 32]
ENTRIES = st.lists(st.tuples(st.sampled_from(DIGESTS), st.integers(1, 1000)), min_size=1, max_size=8)
INDEXES = st.fixed_dictionaries({"a": ENTRIES, "b": ENTRIES})
STEPS = st.lists(st.one_of(ENTRIES, st.sampled_from(["a", "b"])), max_size=12)


def dynamic(entries: list[tuple[bytes, int]]) -> DynamicIndex:
    ends = np.cumsum(np.array([size for _, size in entries], np.uint64), dtype=np.uint64)
    digests = np.frombuffer(b"".join(digest for digest, _ in entries), np.uint8).reshape(-1, 32)
    return dynamic_index.from_arrays(UUID_1, 1, ends, digests)


def fixed(digests: list[bytes], size: int) -> FixedIndex:
    return FixedIndex(UUID_1, 1, size, CHUNK_BYTES, np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))


@given(INDEXES, STEPS)
def test_the_last_registration_counts(indexes: dict[str, list[tuple[bytes, int]]], steps: list[str | list[tuple[bytes, int]]]) -> None:
    """A step is the fetch of an index, which always has the same content, or some uploads."""
    known, model = KnownChunks(), dict[bytes, int]()
    for step in steps:
        if isinstance(step, str):
            known.add_index(step, dynamic(indexes[step]))
            model.update(indexes[step])
        else:
            for digest, size in step:
                known.add(digest, size)
            model.update(step)
        assert {digest: known.size_of(digest) for digest in DIGESTS} == {digest: model.get(digest) for digest in DIGESTS}


def test_the_last_chunk_of_an_image_may_be_short() -> None:
    known = KnownChunks()
    known.add_index("disk.img.fidx", fixed([DIGESTS[1], DIGESTS[2]], CHUNK_BYTES + 17))
    assert (known.size_of(DIGESTS[1]), known.size_of(DIGESTS[2])) == (CHUNK_BYTES, 17)
    assert DIGESTS[3] not in known


def test_fetching_an_index_again_takes_no_more_memory() -> None:
    known = KnownChunks()
    for number in range(50):
        known.add(DIGESTS[number % 3], number + 1)
        known.add_index("a", dynamic([(DIGESTS[3], 5)]))
        known.add_index("b", dynamic([(DIGESTS[4], 6)]))
    assert len(known._layers) == 3
    assert [known.size_of(digest) for digest in DIGESTS[:5]] == [49, 50, 48, 5, 6]


def test_a_length_that_no_chunk_can_have_stays_what_it_is() -> None:
    known = KnownChunks()
    known.add_index("a", dynamic([(DIGESTS[1], 2**63 + 5), (DIGESTS[2], 7)]))
    assert (known.size_of(DIGESTS[1]), known.size_of(DIGESTS[2])) == (2**63 + 5, 7)
