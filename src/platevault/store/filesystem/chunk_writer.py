"""One chunk arriving in pieces: a temp file in the chunk's directory that gets its name at the end."""

from __future__ import annotations

import os
from typing import Protocol

from platevault.store.datastore import Digest, Inserted
from platevault.store.filesystem import dirs, replace
from platevault.store.filesystem.insert_rules import MAGIC_BYTES
from platevault.store.filesystem.trouble import translated, writing


class Place(Protocol):
    """What a writer needs of its chunk store."""

    def place(self, folder: int, digest: Digest, descriptor: int, temp: str, length: int, magic: bytes) -> Inserted:
        """Give the finished temp file its name, unless the chunk is there."""
        ...


class FileChunkWriter:
    """One chunk arriving in pieces into a temp file; nothing is visible under its digest before `commit`. One thread uses it."""

    def __init__(
        self, chunks: Place, digest: Digest, folder: int, descriptor: int, temp: str, *, encoded_bytes: int, header_bytes: int
    ) -> None:
        self._chunks = chunks
        self._digest = digest
        self._folder = folder
        self._descriptor = descriptor
        self._temp = temp
        self._encoded_bytes = encoded_bytes
        self._header_bytes = header_bytes
        self._offset = header_bytes
        self._open = True

    def write(self, piece: bytes | memoryview) -> None:
        """Append to the body. Raises StorageFailed; the caller then discards."""
        with writing("chunk", self._digest.hex()):
            dirs.write_all(self._descriptor, piece, self._offset)
        self._offset += len(piece)

    def written(self) -> bytes:
        """What was written so far, behind zeros in place of the header. Raises StorageFailed."""
        with translated("reading chunk", self._digest.hex()):
            return dirs.read_all(self._descriptor)

    def commit(self, header: bytes) -> Inserted:
        """Write the 12 or 44 header bytes in front and give the chunk its name.

        Raises ChunkClash by the rules of spec formats §1.4 or StorageFailed, and then leaves no file.
        """
        assert len(header) == self._header_bytes
        assert self._offset == self._encoded_bytes
        try:
            with writing("chunk", self._digest.hex()):
                dirs.write_all(self._descriptor, header, 0)
                result = self._chunks.place(
                    self._folder, self._digest, self._descriptor, self._temp, self._encoded_bytes, header[:MAGIC_BYTES]
                )
        except BaseException:
            self.discard()
            raise
        self._close()
        return result

    def discard(self) -> None:
        """Remove what was written. Harmless after `commit`."""
        if self._open:
            replace.forget(self._folder, self._temp)
            self._close()

    def _close(self) -> None:
        self._open = False
        os.close(self._descriptor)
        os.close(self._folder)
