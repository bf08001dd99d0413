"""One chunk on its way into the store: checked while it arrives, never visible before it is complete and right.

Source: spec wire-protocol §3.5, §3.6; design §5. An uncompressed or encrypted body is written, summed and hashed piece by piece; a
compressed one is collected (in memory as far as the session has room, else in the temp file of the chunk) and decompressed
at the end into at most the announced plain length. A chunk that the store has already is marked as used at once, so that
garbage collection leaves it alone, and its body is only checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from platevault.errors import Invalid, Unavailable
from platevault.formats import blob, zstd
from platevault.formats.blob import BlobKind
from platevault.services.body_memory import BodyMemory
from platevault.store.datastore import ChunkStore, ChunkWriter, Digest, Inserted

MIN_ENCODED_BYTES = blob.HEADER_BYTES + 1


class WrongLength(Invalid):
    """The body is longer or shorter than announced. Facts: `expected`, `got`."""


class WrongDigest(Invalid):
    """The data is not what its digest says, or has another length. Facts: `expected`, `got`."""


class ChunkVanished(Unavailable):
    """The stored chunk disappeared while its copy was only being checked. Fact: `digest`."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the client says of a chunk: digest (32 bytes), plain length, length of the encoded blob."""

    digest: Digest
    size: int
    encoded_bytes: int


class _Body(Protocol):
    """What follows the header of a blob."""

    def feed(self, piece: memoryview) -> None: ...

    def finish(self, head: bytes) -> Inserted: ...

    def abort(self) -> None: ...


class ChunkUpload:
    """`feed` pieces, then `finish`; after any error, and after `abort`, nothing of the chunk is left. Used by one thread."""

    def __init__(self, chunks: ChunkStore, announced: Announced, memory: BodyMemory) -> None:
        """Looks whether the chunk exists. Raises Unavailable."""
        self._chunks, self._announced, self._memory = chunks, announced, memory
        self._stored = _touched(chunks, announced.digest)
        self._received = 0
        self._head = b""
        self._head_bytes = blob.HEADER_BYTES
        self._body: _Body | None = None

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes of the blob. Raises Invalid, Corrupt or Unavailable; the upload is over then."""
        self._received += len(piece)
        try:
            self._check_not_longer()
            if self._body is None:
                piece = self._feed_head(piece)
            if len(piece) and self._body is not None:
                self._body.feed(piece)
        except BaseException:
            self.abort()
            raise

    def finish(self) -> Inserted:
        """The blob is complete: check and store it. Raises Invalid, Corrupt, Conflict or Unavailable.

        On return the chunk survives a crash of this process; it survives a power cut after `flush` of the datastore.
        """
        try:
            if self._received != self._announced.encoded_bytes:
                raise WrongLength(
                    f"chunk has {self._received} bytes, {self._announced.encoded_bytes} were announced",
                    expected=self._announced.encoded_bytes,
                    got=self._received,
                )
            if self._body is None:
                raise blob.CorruptBlob("chunk is shorter than its header", got=self._received)
            return self._body.finish(self._head)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Forget what has arrived. Harmless twice and after `finish`."""
        if self._body is not None:
            self._body.abort()

    def _check_not_longer(self) -> None:
        if self._received > self._announced.encoded_bytes:
            raise WrongLength(
                f"chunk has more than the announced {self._announced.encoded_bytes} bytes",
                expected=self._announced.encoded_bytes,
                got=self._received,
            )

    def _feed_head(self, piece: memoryview) -> memoryview:
        """Complete the header, whose first 12 bytes tell whether it has 12 or 44; returns what is behind it in this piece."""
        while len(piece) and self._body is None:
            missing = self._head_bytes - len(self._head)
            self._head += piece[:missing]
            piece = piece[missing:]
            if len(self._head) == self._head_bytes:
                kind = _kind(self._head)
                self._head_bytes = kind.header_bytes
                if len(self._head) == self._head_bytes:
                    self._body = self._begin(kind)
        return piece

    def _begin(self, kind: BlobKind) -> _Body:
        announced = self._announced
        if kind is BlobKind.ZSTD:
            return _Packed(self._chunks, announced, self._memory)
        if kind is BlobKind.PLAIN and announced.encoded_bytes - kind.header_bytes != announced.size:
            raise _wrong_size(announced, announced.encoded_bytes - kind.header_bytes)
        if announced.encoded_bytes < kind.header_bytes:
            raise blob.CorruptBlob("encrypted chunk is shorter than its header", got=announced.encoded_bytes)
        kept = self._stored if self._is_kept(kind) else None
        writer = None
        if kept is None:
            writer = self._chunks.begin(announced.digest, encoded_bytes=announced.encoded_bytes, header_bytes=kind.header_bytes)
        return _Passing(self._chunks, announced, kind, writer, kept)

    def _is_kept(self, kind: BlobKind) -> bool:
        """Whether the stored blob stays whatever comes now (spec §3.6). The remaining cases are for the store to decide."""
        if not self._stored:  # absent, or left empty by a crash: to be written
            return False
        return self._stored == self._announced.encoded_bytes or (not kind.is_encrypted and self._stored < self._announced.encoded_bytes)


class _Passing:
    """A body whose bytes are final as they come: hashed (unless encrypted), summed, and written (unless the store has it)."""

    __slots__ = ("_announced", "_chunks", "_crc", "_hash", "_kept", "_kind", "_writer")

    def __init__(self, chunks: ChunkStore, announced: Announced, kind: BlobKind, writer: ChunkWriter | None, kept: int | None) -> None:
        self._chunks, self._announced, self._kind, self._writer, self._kept = chunks, announced, kind, writer, kept
        self._hash = None if kind.is_encrypted else hashlib.sha256()
        self._crc = 0

    def feed(self, piece: memoryview) -> None:
        if self._hash is not None:
            self._hash.update(piece)
        if self._writer is not None:
            self._crc = blob.crc32(piece, self._crc)
            self._writer.write(piece)

    def finish(self, head: bytes) -> Inserted:
        if self._hash is not None:
            _check_digest(self._announced, self._hash.digest())
        if self._writer is None:
            return _still_there(self._chunks, self._announced.digest, self._kept)
        return self._writer.commit(blob.header(self._kind, self._crc, head[12:28], head[28:44]))

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.discard()


class _Packed:
    """A compressed body: collected, decompressed and checked at the end."""

    __slots__ = ("_announced", "_buffer", "_chunks", "_filled", "_memory", "_taken", "_writer")

    def __init__(self, chunks: ChunkStore, announced: Announced, memory: BodyMemory) -> None:
        self._chunks, self._announced, self._memory = chunks, announced, memory
        self._filled = blob.HEADER_BYTES
        self._taken = announced.encoded_bytes if memory.take(announced.encoded_bytes) else 0
        self._buffer = bytearray(self._taken)
        self._writer: ChunkWriter | None = None
        if not self._taken:
            self._writer = chunks.begin(announced.digest, encoded_bytes=announced.encoded_bytes, header_bytes=blob.HEADER_BYTES)

    def feed(self, piece: memoryview) -> None:
        if self._writer is not None:
            self._writer.write(piece)
        else:
            self._buffer[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)

    def finish(self, head: bytes) -> Inserted:
        packed = memoryview(self._buffer if self._writer is None else self._writer.written())[blob.HEADER_BYTES :]
        plain = zstd.decompress(packed, max_bytes=self._announced.size)
        if len(plain) != self._announced.size:
            raise _wrong_size(self._announced, len(plain))
        _check_digest(self._announced, hashlib.sha256(plain).digest())
        header = blob.header(BlobKind.ZSTD, blob.crc32(packed))
        if self._writer is not None:
            return self._writer.commit(header)
        self._buffer[: blob.HEADER_BYTES] = header
        inserted = self._chunks.insert(self._announced.digest, self._buffer)
        self.abort()
        return inserted

    def abort(self) -> None:
        self._memory.give(self._taken)
        self._taken, self._buffer = 0, bytearray()
        if self._writer is not None:
            self._writer.discard()


def _kind(head: bytes) -> BlobKind:
    """By magic, from the first 12 bytes or more."""
    return blob.kind_of(head.ljust(blob.ENCRYPTED_HEADER_BYTES, b"\0"))


def _touched(chunks: ChunkStore, digest: Digest) -> int | None:
    """Bytes of the stored blob, which garbage collection leaves alone from now on; None when there is none."""
    stored = chunks.stored_bytes(digest)
    return stored if stored is not None and chunks.touch(digest) else None


def _still_there(chunks: ChunkStore, digest: Digest, kept: int | None) -> Inserted:
    """Verification may have renamed the stored blob meanwhile because it is corrupt: then this upload would be lost."""
    stored = _touched(chunks, digest)
    if stored is None or stored != kept:
        raise ChunkVanished(f"chunk {digest.hex()} was removed from the store during its upload: send it again", digest=digest)
    return Inserted(stored, existed=True)


def _check_digest(announced: Announced, got: Digest) -> None:
    if got != announced.digest:
        raise WrongDigest(f"wrong chunk digest: expected {announced.digest.hex()}, got {got.hex()}", expected=announced.digest, got=got)


def _wrong_size(announced: Announced, got: int) -> WrongDigest:
    return WrongDigest(f"chunk holds {got} bytes of data, {announced.size} were announced", expected=announced.size, got=got)
