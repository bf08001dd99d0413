"""Turn the data of one chunk into the blob that travels: compress when it pays, encrypt when asked, never copying the data.

Source: spec formats §2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from platevault.formats import blob, zstd
from platevault.formats.blob import BlobKind
from platevault.formats.keys import CryptKey, plain_digest


@dataclass(frozen=True, slots=True)
class SealedChunk:
    """A blob in two parts, to be sent one after the other. `payload` may be the caller's own buffer."""

    header: bytes
    payload: bytes | memoryview

    @property
    def encoded_bytes(self) -> int:
        return len(self.header) + len(self.payload)


class Sealer:
    """Makes digests and blobs with one key, or none. Safe from several threads."""

    def __init__(self, key: CryptKey | None) -> None:
        self._key = key
        self.digest: Callable[[memoryview], bytes] = plain_digest if key is None else key.digest

    def seal(self, data: memoryview) -> SealedChunk:
        """The blob of `data` (1 byte to 16 MiB)."""
        packed = zstd.compress(data)
        kept = len(packed) < len(data)
        payload: bytes | memoryview = packed if kept else data
        kind = BlobKind.of(encrypted=self._key is not None, compressed=kept)
        if self._key is None:
            return SealedChunk(blob.header(kind, blob.crc32(payload)), payload)
        iv, tag, secret = self._key.encrypt(payload)
        return SealedChunk(blob.header(kind, blob.crc32(secret), iv, tag), secret)
