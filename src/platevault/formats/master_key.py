"""RSA master keys: a backup carries its own encryption key, readable by the holder of the private master key.

Source: spec formats §6.4, §6.5. The key file in clear is encrypted with RSAES-PKCS1-v1_5 and stored as a plain, uncompressed
blob `rsa-encrypted.key.blob`.
"""

from __future__ import annotations

from dataclasses import replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from platevault.errors import Corrupt, Invalid
from platevault.formats import key_file
from platevault.formats.key_file import KeyFile
from platevault.formats.keys import CryptKey

WRAPPED_KEY_NAME = "rsa-encrypted.key.blob"
MASTER_BITS = 4096
PADDING_BYTES = 11  # what PKCS#1 v1.5 takes of the modulus


class WrongMasterKey(Corrupt):
    """The wrapped key does not open with this private key."""


def load_public(pem: bytes) -> rsa.RSAPublicKey:
    """Raises Invalid for anything but an RSA public key in PEM form."""
    try:
        loaded = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"not a public key in PEM form: {error}") from error
    if not isinstance(loaded, rsa.RSAPublicKey):
        raise Invalid("the master key is no RSA key")
    return loaded


def load_private(pem: bytes, passphrase: bytes | None) -> rsa.RSAPrivateKey:
    """Raises Invalid for anything but an RSA private key in PEM form, or a wrong passphrase."""
    try:
        loaded = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(f"the private master key does not open: {error}") from error
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise Invalid("the master key is no RSA key")
    return loaded


def create_pair(passphrase: bytes) -> tuple[bytes, bytes]:
    """New private (PKCS#8, encrypted) and public key, both PEM. Raises Invalid for a passphrase of less than 5 bytes."""
    key_file.check_passphrase(passphrase)
    private = rsa.generate_private_key(public_exponent=65537, key_size=MASTER_BITS)
    locked = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(passphrase)
    )
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return locked, public


def wrap(key: CryptKey, source: KeyFile | None, public: rsa.RSAPublicKey, *, now: float) -> bytes:
    """The content of `rsa-encrypted.key`: as many bytes as the modulus. `source` gives creation time and hint."""
    clear = key_file.create(key, key_file.Kdf.NONE, now=now, hint=source.hint if source else None)
    if source is not None:
        clear = replace(clear, created=source.created)
    message, room = clear.encode(), public.key_size // 8 - PADDING_BYTES
    if len(message) > room:
        raise Invalid(f"the master key is too small: {len(message)} bytes do not fit into {room}; use 4096 bits")
    return public.encrypt(message, padding.PKCS1v15())


def unwrap(wrapped: bytes, private: rsa.RSAPrivateKey) -> KeyFile:
    """The key file inside. Raises WrongMasterKey, or CorruptKeyFile when the key does not fit its fingerprint."""
    try:
        found = key_file.parse(private.decrypt(wrapped, padding.PKCS1v15()))
    except (ValueError, key_file.CorruptKeyFile) as error:
        # OpenSSL answers a wrong key with random bytes instead of an error, so the parser sees it.
        raise WrongMasterKey("the wrapped key does not open with this master key") from error
    if found.kind is key_file.Kdf.NONE:
        found.unlock()
    return found
