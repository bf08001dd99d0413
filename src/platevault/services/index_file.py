"""Random access to the content that an index of unencrypted chunks stands for.

Memory: `CACHED_CHUNKS` chunks of at most 16 MiB.
"""

from __future__ import annotations

from collections import OrderedDict

from platevault.errors import Corrupt
from platevault.formats import blob
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.store.datastore import Datastore

CACHED_CHUNKS = 2


class IndexFile:
    """The content under an index of a datastore. One thread."""

    def __init__(self, store: Datastore, index: DynamicIndex | FixedIndex) -> None:
        self._store, self._index = store, index
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self.size = index.size

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, less only at the end. Raises Corrupt for a chunk of a wrong length, and what loading raises."""
        pieces = []
        while size > 0 and offset < self.size:
            number = self._index.chunk_at(offset)
            start, _ = self._index.chunk_span(number)
            piece = self._chunk(number)[offset - start :][:size]
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
        return b"".join(pieces)

    def _chunk(self, number: int) -> bytes:
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        start, end = self._index.chunk_span(number)
        digest = self._index.digest(number)
        data = blob.decode(self._store.chunks.load(digest))
        if len(data) != end - start:
            raise Corrupt(f"chunk {digest.hex()} has {len(data)} bytes, the index says {end - start}", digest=digest)
        self._cache[number] = data
        if len(self._cache) > CACHED_CHUNKS:
            self._cache.popitem(last=False)
        return data
