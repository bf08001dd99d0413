"""The goodbye table at the end of a directory: a search tree over the hashes of its names.

Source: spec formats §8.6. The entries, sorted by hash, are laid out as a complete binary tree in heap order: node i has the children
2i + 1 (smaller) and 2i + 2 (larger). A tail entry leads back to the directory's own ENTRY.
"""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache

from platevault.formats.pxar.items import GOODBYE, GOODBYE_ENTRY_BYTES, GOODBYE_TAIL, HEADER_BYTES

MAX_CACHED = 512  # entries; an order of that length is made once, larger directories are rare


def heap_order(count: int) -> tuple[int, ...]:
    """For each place of the table, the place of its entry in ascending order."""
    return _cached_order(count) if count <= MAX_CACHED else _order(count)


def _order(count: int) -> tuple[int, ...]:
    order, place, waiting = [0] * count, 0, []
    for rank in range(count):
        # In-order walk without recursion: left as far as it goes, then the node, then its right subtree.
        while place < count:
            waiting.append(place)
            place = 2 * place + 1
        place = waiting.pop()
        order[place] = rank
        place = 2 * place + 2
    return tuple(order)


_cached_order = lru_cache(maxsize=MAX_CACHED)(_order)


def encode_goodbye(children: array[int], start: int, position: int) -> bytes:
    """The whole GOODBYE item of a directory.

    children: hash, offset of the FILENAME item and bytes up to the end of the child, three numbers for each. start: offset of the
    directory's ENTRY; position: of this item. All in bytes from the beginning of the archive.
    """
    count = len(children) // 3
    size = HEADER_BYTES + GOODBYE_ENTRY_BYTES * (count + 1)
    ordered = sorted(zip(children[0::3], children[1::3], children[2::3], strict=True))
    fields = [GOODBYE, size]
    for rank in heap_order(count):
        name, offset, length = ordered[rank]
        fields += (name, position - offset, length)
    fields += (GOODBYE_TAIL, position - start, size)
    return struct.pack(f"<{len(fields)}Q", *fields)
