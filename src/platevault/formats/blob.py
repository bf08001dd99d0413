"""Data blobs: the form of chunks and of `*.blob` files.

Source: spec formats §2. Plain: magic 8, CRC-32 4, data. Encrypted: magic 8, CRC-32 4, IV 16, tag 16, ciphertext. The CRC covers
what follows the whole header. Compression (zstd level 1) is kept only when the result is not larger.
"""

from __future__ import annotations

import struct
from enum import Enum

from platevault.errors import Corrupt, Invalid
from platevault.formats import zstd
from platevault.formats.checksums import crc32 as crc32
from platevault.formats.keys import CryptKey

HEADER_BYTES = 12
ENCRYPTED_HEADER_BYTES = 44
IV_BYTES = 16
TAG_BYTES = 16
MAX_CHUNK_BYTES = 16 * 1024 * 1024
MAX_BLOB_BYTES = MAX_CHUNK_BYTES + ENCRYPTED_HEADER_BYTES
MAX_DATA_BYTES = 128 * 1024 * 1024  # limit of the reference encoder

_CRC = struct.Struct("<I")

Buffer = bytes | bytearray | memoryview


class CorruptBlob(Corrupt):
    """The bytes are no data blob, or their CRC, tag or compression is wrong. Facts: `expected`, `got`."""


class KeyNeeded(Invalid):
    """The blob is encrypted and no key was given."""


class BlobKind(Enum):
    """The four kinds; the value is the magic."""

    PLAIN = bytes.fromhex("42ab3807be8370a1")
    ZSTD = bytes.fromhex("31b958426fb6a37f")
    ENCRYPTED = bytes.fromhex("7b6785be222d4cf0")
    ENCRYPTED_ZSTD = bytes.fromhex("e6591bbf0bbfd80b")

    @property
    def magic(self) -> bytes:
        return self.value

    @property
    def is_encrypted(self) -> bool:
        return self in (BlobKind.ENCRYPTED, BlobKind.ENCRYPTED_ZSTD)

    @property
    def is_compressed(self) -> bool:
        return self in (BlobKind.ZSTD, BlobKind.ENCRYPTED_ZSTD)

    @property
    def header_bytes(self) -> int:
        """12, or 44 when encrypted."""
        return ENCRYPTED_HEADER_BYTES if self.is_encrypted else HEADER_BYTES

    @classmethod
    def of(cls, *, encrypted: bool, compressed: bool) -> BlobKind:
        if encrypted:
            return cls.ENCRYPTED_ZSTD if compressed else cls.ENCRYPTED
        return cls.ZSTD if compressed else cls.PLAIN


_BY_MAGIC = {kind.value: kind for kind in BlobKind}


def kind_of(blob: Buffer) -> BlobKind:
    """Kind by magic; also checks that the header is complete. Raises CorruptBlob."""
    kind = _BY_MAGIC.get(bytes(blob[:8]))
    if kind is None:
        raise CorruptBlob("not a data blob", expected="a known magic", got=bytes(blob[:8]).hex())
    if len(blob) < kind.header_bytes:
        raise CorruptBlob("blob is shorter than its header", expected=kind.header_bytes, got=len(blob))
    return kind


def header(kind: BlobKind, crc: int, iv: bytes = b"", tag: bytes = b"") -> bytes:
    """12 bytes, or 44 with IV and tag of 16 bytes each."""
    made = kind.magic + _CRC.pack(crc) + iv + tag
    if len(made) != kind.header_bytes:
        raise Invalid("IV and tag do not fit the kind of blob")
    return made


def stored_crc(blob: Buffer) -> int:
    return int(_CRC.unpack_from(blob, 8)[0])


def check_crc(blob: Buffer) -> BlobKind:
    """Kind of the blob. Raises CorruptBlob for a wrong magic, length or CRC."""
    kind = kind_of(blob)
    got, expected = crc32(memoryview(blob)[kind.header_bytes :]), stored_crc(blob)
    if got != expected:
        raise CorruptBlob("blob has a wrong CRC", expected=f"{expected:08x}", got=f"{got:08x}")
    return kind


def with_crc(blob: Buffer) -> bytes:
    """The same blob with its CRC computed anew: what a server does with uploaded chunks."""
    kind = kind_of(blob)
    fixed = bytearray(blob)
    _CRC.pack_into(fixed, 8, crc32(memoryview(blob)[kind.header_bytes :]))
    return bytes(fixed)


def encode(data: Buffer, *, compress: bool = True, key: CryptKey | None = None, iv: bytes | None = None) -> bytes:
    """A blob of `data` (at most 128 MiB). `iv`: 16 bytes for tests; random otherwise. Raises Invalid when too large."""
    if len(data) > MAX_DATA_BYTES:
        raise Invalid(f"{len(data)} bytes are too many for one blob", expected=MAX_DATA_BYTES)
    packed = zstd.compress(data) if compress and len(data) else None
    compressed = packed is not None and len(packed) <= len(data)
    payload = packed if packed is not None and compressed else data
    kind = BlobKind.of(encrypted=key is not None, compressed=compressed)
    if key is None:
        return b"".join((header(kind, crc32(payload)), payload))
    iv, tag, secret = key.encrypt(payload, iv)
    return b"".join((header(kind, crc32(secret), iv, tag), secret))


def decode(blob: Buffer, *, key: CryptKey | None = None, max_bytes: int = MAX_DATA_BYTES) -> bytes:
    """The data of a blob, at most `max_bytes`. Checks CRC, tag and compression.

    Raises CorruptBlob; WrongKey (also Corrupt) when the key or the tag is wrong; KeyNeeded for an encrypted blob without key. A key
    given for a plain blob is not used: who expects an encrypted one looks at its kind.
    """
    kind = check_crc(blob)
    payload: Buffer = memoryview(blob)[kind.header_bytes :]
    if kind.is_encrypted:
        if key is None:
            raise KeyNeeded("blob is encrypted, a key is needed")
        payload = key.decrypt(bytes(blob[12:28]), bytes(blob[28:44]), payload)
    if kind.is_compressed:
        try:
            return zstd.decompress(payload, max_bytes=max_bytes)
        except zstd.CorruptFrame as error:
            raise CorruptBlob(f"blob does not decompress: {error.message}") from error
    if len(payload) > max_bytes:
        raise CorruptBlob("blob holds more data than allowed", expected=max_bytes, got=len(payload))
    return bytes(payload)
