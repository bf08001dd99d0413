"""Encryption keys: what is derived from the 32 key bytes, and what is done with them.

Source: spec formats §2.3, §6.2. Traps: AES-GCM runs with the full 16-byte IV; the keyed chunk digest is a plain SHA-256 over data and
id-key, the manifest signature an HMAC with the same id-key. Key files are in `key_file`, RSA wrapping in `master_key`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from platevault.errors import Corrupt, Invalid

KEY_BYTES = 32
IV_BYTES = 16
TAG_BYTES = 16
ID_KEY_ITERATIONS = 10
FINGERPRINT_INPUT = hashlib.sha256(b"Proxmox Backup Encryption Key Fingerprint").digest()

Buffer = bytes | bytearray | memoryview


class WrongKey(Corrupt):
    """Decryption failed: another key, or damaged data; AES-GCM cannot tell which."""


def plain_digest(data: Buffer) -> bytes:
    """SHA-256 of a plain chunk, 32 bytes."""
    return hashlib.sha256(data).digest()


def fingerprint_text(fingerprint: bytes) -> str:
    """32 bytes as 95 characters: lower-case hex pairs joined by colons."""
    return fingerprint.hex(":")


class CryptKey:
    """One encryption key. Safe to use from several threads; never shows its bytes."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise Invalid(f"an encryption key has {KEY_BYTES} bytes, not {len(raw)}")
        self.raw = raw
        self._cipher = AESGCM(raw)

    def __repr__(self) -> str:
        return f"CryptKey({self.fingerprint_text[:23]})"

    @classmethod
    def generate(cls) -> CryptKey:
        return cls(os.urandom(KEY_BYTES))

    @cached_property
    def id_key(self) -> bytes:
        """32 bytes that bind digests and signatures to the key without giving it away."""
        return hashlib.pbkdf2_hmac("sha256", self.raw, b"_id_key", ID_KEY_ITERATIONS, 32)

    @cached_property
    def fingerprint(self) -> bytes:
        return self.digest(FINGERPRINT_INPUT)

    @property
    def fingerprint_text(self) -> str:
        return fingerprint_text(self.fingerprint)

    def digest(self, data: Buffer) -> bytes:
        """Name of an encrypted chunk: SHA-256 over plain data and id-key."""
        state = hashlib.sha256(data)
        state.update(self.id_key)
        return state.digest()

    def sign(self, message: bytes) -> str:
        """HMAC-SHA-256 with the id-key as 64 lower-case hex digits."""
        return hmac.new(self.id_key, message, "sha256").hexdigest()

    def encrypt(self, data: Buffer, iv: bytes | None = None) -> tuple[bytes, bytes, memoryview]:
        """IV, tag and ciphertext; the IV is random unless a test gives it."""
        iv = os.urandom(IV_BYTES) if iv is None else iv
        sealed = memoryview(self._cipher.encrypt(iv, data, None))
        return iv, bytes(sealed[-TAG_BYTES:]), sealed[:-TAG_BYTES]

    def decrypt(self, iv: bytes, tag: bytes, ciphertext: Buffer) -> bytes:
        """The plain data. Raises WrongKey when the tag does not fit."""
        try:
            return self._cipher.decrypt(iv, b"".join((ciphertext, tag)), None)
        except InvalidTag as error:
            raise WrongKey("decryption failed: wrong key or damaged data") from error
