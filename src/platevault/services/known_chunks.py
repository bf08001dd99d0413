"""Which chunks a session may refer to, and how long each one is.

Source: spec wire-protocol §3.1, §3.7, §3.9, §4: a chunk is known when it was uploaded in this session or stands in an index that was
fetched in it; that it merely exists in the store is not enough. The registration that came last tells the length.
Memory: about 150 bytes a chunk uploaded, 40 bytes a chunk of an index (so 10 MiB for an image of 1 TiB).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex

# Text of 32 bytes: numpy compares it byte by byte. It takes trailing zeros for padding, which cannot make two digests equal.
DIGEST = np.dtype("S32")


class _Table:
    """The chunks of one index, ordered by digest for binary search."""

    __slots__ = ("_digests", "_sizes", "name")

    def __init__(self, name: str, index: FixedIndex | DynamicIndex) -> None:
        digests = np.ascontiguousarray(index.digests).view(DIGEST).reshape(-1)
        order = np.argsort(digests, kind="stable")
        self.name = name
        self._digests = digests[order]
        self._sizes = _sizes(index)[order]

    def find(self, digest: bytes) -> int | None:
        key = np.array(digest, DIGEST)
        at = int(np.searchsorted(self._digests, key, side="right")) - 1  # of equal digests the last entry counts
        return int(self._sizes[at]) if at >= 0 and self._digests[at] == key else None


def _sizes(index: FixedIndex | DynamicIndex) -> NDArray[np.uint64]:
    """Length of each chunk in order, in bytes."""
    if isinstance(index, DynamicIndex):
        sizes = index.ends.copy()
        sizes[1:] -= index.ends[:-1]
        return sizes
    sizes = np.full(index.count, index.chunk_size, np.uint64)
    start, end = index.chunk_span(index.count - 1)
    sizes[-1] = end - start
    return sizes


class KnownChunks:
    """Plain lengths by digest. Used by the thread of one session."""

    def __init__(self) -> None:
        self._layers: list[dict[bytes, int] | _Table] = []  # later layers cover earlier ones

    def add(self, digest: bytes, size: int) -> None:
        """Register one uploaded chunk of `size` bytes."""
        top = self._layers[-1] if self._layers else None
        if not isinstance(top, dict):
            top = {}
            self._layers.append(top)
        top[digest] = size

    def add_index(self, name: str, index: FixedIndex | DynamicIndex) -> None:
        """Register every chunk of an index. Fetching the same index again and again takes no more memory."""
        rest = [layer for layer in self._layers if not (isinstance(layer, _Table) and layer.name == name)]
        self._layers = [*_merged(rest), _Table(name, index)]

    def size_of(self, digest: bytes) -> int | None:
        """Length in bytes, None for a chunk that is not known."""
        for layer in reversed(self._layers):
            size = layer.get(digest) if isinstance(layer, dict) else layer.find(digest)
            if size is not None:
                return size
        return None

    def __contains__(self, digest: bytes) -> bool:
        return self.size_of(digest) is not None


def _merged(layers: list[dict[bytes, int] | _Table]) -> list[dict[bytes, int] | _Table]:
    """The same layers with neighbouring dictionaries made one."""
    merged: list[dict[bytes, int] | _Table] = []
    for layer in layers:
        below = merged[-1] if merged else None
        if isinstance(layer, dict) and isinstance(below, dict):
            below |= layer
        else:
            merged.append(layer)
    return merged
