"""How a backup or a restore treats its data: plain, signed, or encrypted, and with which keys.

Source: spec formats §5.4, §6.
"""

from __future__ import annotations

from dataclasses import dataclass

from platevault.errors import Forbidden, Invalid
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode


class MissingKey(Forbidden):
    """The data is encrypted and no key was given. Fact `fingerprint` (text) when known."""


class OtherKey(Forbidden):
    """Another key than the one given was used for the snapshot. Facts `expected`, `got` (fingerprint texts)."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """`key` is there unless the mode is NONE. `wrapped_key`: the key file encrypted with an RSA master key, stored with each snapshot."""

    mode: CryptMode = CryptMode.NONE
    key: CryptKey | None = None
    wrapped_key: bytes | None = None

    def __post_init__(self) -> None:
        if self.mode is not CryptMode.NONE and self.key is None:
            raise Invalid(f"mode {self.mode.value} needs a key: give --keyfile or create one with `platevault key create`")

    @property
    def data_key(self) -> CryptKey | None:
        """The key for chunks and blobs; None when these stay plain."""
        return self.key if self.mode is CryptMode.ENCRYPT else None

    @property
    def signing_key(self) -> CryptKey | None:
        """The key that signs the manifest."""
        return None if self.mode is CryptMode.NONE else self.key


PLAIN = Encryption()


def key_for(mode: CryptMode, key: CryptKey | None, name: str, fingerprint: str | None) -> CryptKey | None:
    """The key to read one file of a snapshot with. Raises MissingKey when it is encrypted and there is none."""
    if mode is not CryptMode.ENCRYPT:
        return None
    if key is None:
        which = f" with the key {fingerprint[:23]}" if fingerprint else ""
        raise MissingKey(f"{name} is encrypted{which}: give --keyfile", fingerprint=fingerprint)
    return key


def check_fingerprint(stored: str | None, key: CryptKey | None) -> None:
    """Compare the fingerprint in a manifest with the key at hand. Raises OtherKey."""
    if stored is not None and key is not None and stored != key.fingerprint_text:
        text = f"the snapshot was made with the key {stored[:23]}, the key given is {key.fingerprint_text[:23]}"
        raise OtherKey(text, expected=stored, got=key.fingerprint_text)
