"""What happens when a chunk arrives whose digest has a file already. Pure.

Source: spec formats §1.4 (order of the rows matters), wire protocol §3.6.
"""

from __future__ import annotations

from enum import Enum

from platevault.errors import Conflict
from platevault.formats.blob import BlobKind

MAGIC_BYTES = 8


class ChunkClash(Conflict):
    """The stored chunk and the incoming one cannot both be right. Facts: `digest`."""


class Action(Enum):
    """KEEP: touch the file that is there, a duplicate. WRITE: put the incoming blob in its place."""

    KEEP = "keep"
    WRITE = "write"


def decide(digest: bytes, *, stored_bytes: int, stored_magic: bytes, incoming_bytes: int, incoming_magic: bytes) -> Action:
    """Compare the stored file with the incoming blob by length and kind. Raises ChunkClash where the reference refuses."""
    if stored_bytes == incoming_bytes:
        return Action.KEEP
    if stored_bytes == 0:
        return Action.WRITE
    if not _is_encrypted(incoming_magic):
        return Action.KEEP if stored_bytes < incoming_bytes else Action.WRITE
    if not _is_encrypted(stored_magic):
        raise ChunkClash(f"chunk {digest.hex()} is stored unencrypted, an encrypted one cannot have its digest", digest=digest)
    if stored_magic == incoming_magic == BlobKind.ENCRYPTED.magic:
        raise ChunkClash(f"chunk {digest.hex()} is stored encrypted with another length", digest=digest)
    return Action.KEEP


def _is_encrypted(magic: bytes) -> bool:
    return magic in (BlobKind.ENCRYPTED.magic, BlobKind.ENCRYPTED_ZSTD.magic)
