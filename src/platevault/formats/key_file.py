"""Key files: the JSON file that holds an encryption key, in clear or locked by a passphrase.

Source: spec formats §6.1. Readers use the parameters of the file, within limits that keep a hostile file from taking all memory or
hours of work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from platevault.errors import Corrupt, Invalid, Unavailable
from platevault.formats.keys import IV_BYTES, KEY_BYTES, TAG_BYTES, CryptKey, WrongKey

MIN_PASSPHRASE_BYTES = 5
SALT_BYTES = 32
SCRYPT_MEMORY_BYTES = 1025 * 1024 * 1024
MAX_SCRYPT_WORK = 2**25  # n * r * p; the usual parameters make 2**19, 0.2 s
MAX_PBKDF2_ITERATIONS = 30_000_000  # about 10 s; usual are 65535
MAX_FILE_BYTES = 64 * 1024
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_FINGERPRINT = re.compile(r"(?:[0-9a-fA-F]{2}:){31}[0-9a-fA-F]{2}\Z", re.ASCII)


class CorruptKeyFile(Corrupt):
    """The bytes are no key file."""


class PassphraseNeeded(Invalid):
    """The key is locked. Fact `hint`: the user's own reminder, may be None."""


class Kdf(StrEnum):
    """How the passphrase becomes a key; names as the command line spells them."""

    NONE = "none"
    SCRYPT = "scrypt"
    PBKDF2 = "pbkdf2"


@dataclass(frozen=True, slots=True)
class Scrypt:
    salt: bytes
    n: int = 65536
    r: int = 8
    p: int = 1

    def derive(self, passphrase: bytes) -> bytes:
        try:
            return hashlib.scrypt(passphrase, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=SCRYPT_MEMORY_BYTES, dklen=32)
        except (ValueError, OverflowError) as error:
            raise CorruptKeyFile(f"key file: scrypt parameters are not usable: {error}") from error
        except MemoryError as error:
            raise Unavailable("not enough memory to derive a key from the passphrase") from error

    def as_json(self) -> dict[str, object]:
        return {"Scrypt": {"n": self.n, "r": self.r, "p": self.p, "salt": _to_base64(self.salt)}}


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    salt: bytes
    iterations: int = 65535

    def derive(self, passphrase: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", passphrase, self.salt, self.iterations, 32)

    def as_json(self) -> dict[str, object]:
        return {"PBKDF2": {"iter": self.iterations, "salt": _to_base64(self.salt)}}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """`data`: the key itself, or IV, tag and ciphertext. `created`, `modified`: RFC 3339 text, kept as read."""

    kdf: Scrypt | Pbkdf2 | None
    created: str
    modified: str
    data: bytes
    fingerprint: str | None = None
    hint: str | None = None

    @property
    def kind(self) -> Kdf:
        return Kdf.NONE if self.kdf is None else Kdf.SCRYPT if isinstance(self.kdf, Scrypt) else Kdf.PBKDF2

    def encode(self) -> bytes:
        """Compact JSON, keys in the order that existing programs write."""
        fields: dict[str, object] = {
            "kdf": self.kdf.as_json() if self.kdf else None,
            "created": self.created,
            "modified": self.modified,
            "data": _to_base64(self.data),
        }
        fields |= {key: value for key, value in (("fingerprint", self.fingerprint), ("hint", self.hint)) if value is not None}
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

    def unlock(self, passphrase: bytes | None = None) -> CryptKey:
        """The key. Raises PassphraseNeeded, Invalid (too short), WrongKey, CorruptKeyFile (fingerprint differs)."""
        key = CryptKey(self.data) if self.kdf is None else CryptKey(self._decrypt(self.kdf, passphrase))
        if self.fingerprint is not None and key.fingerprint_text != self.fingerprint.lower():
            raise CorruptKeyFile("key file: the key does not fit its fingerprint", expected=self.fingerprint, got=key.fingerprint_text)
        return key

    def _decrypt(self, kdf: Scrypt | Pbkdf2, passphrase: bytes | None) -> bytes:
        if passphrase is None:
            raise PassphraseNeeded("the key is locked, a passphrase is needed", hint=self.hint)
        check_passphrase(passphrase)
        iv, tag, secret = self.data[:IV_BYTES], self.data[IV_BYTES : IV_BYTES + TAG_BYTES], self.data[IV_BYTES + TAG_BYTES :]
        try:
            return CryptKey(kdf.derive(passphrase)).decrypt(iv, tag, secret)
        except WrongKey as error:
            hint = f" (hint: {self.hint})" if self.hint else ""
            raise WrongKey(f"wrong passphrase for the key{hint}") from error

    def locked_again(self, key: CryptKey, kdf: Kdf, passphrase: bytes | None, *, now: float, hint: str | None = None) -> KeyFile:
        """The same key under another passphrase; `created` stays."""
        made = create(key, kdf, passphrase, now=now, hint=hint)
        return replace(made, created=self.created)


def create(key: CryptKey, kdf: Kdf, passphrase: bytes | None = None, *, now: float, hint: str | None = None) -> KeyFile:
    """A new key file. Raises Invalid for a missing or short passphrase, one that `none` would ignore, and a hint that is no text."""
    if hint is not None and not _is_text(hint):
        raise Invalid("the hint for the passphrase is no valid text")
    moment = datetime.fromtimestamp(int(now), UTC).isoformat()
    if kdf is Kdf.NONE:
        if passphrase:
            raise Invalid("a passphrase does nothing with kdf 'none': choose scrypt, or give no passphrase")
        return KeyFile(None, moment, moment, key.raw, key.fingerprint_text, hint)
    if passphrase is None:
        raise PassphraseNeeded(f"kdf '{kdf}' needs a passphrase", hint=None)
    check_passphrase(passphrase)
    salt = os.urandom(SALT_BYTES)
    derivation = Scrypt(salt) if kdf is Kdf.SCRYPT else Pbkdf2(salt)
    iv, tag, secret = CryptKey(derivation.derive(passphrase)).encrypt(key.raw)
    return KeyFile(derivation, moment, moment, iv + tag + bytes(secret), key.fingerprint_text, hint)


def check_passphrase(passphrase: bytes) -> None:
    """Raises Invalid for a passphrase that is shorter than existing programs take, 5 bytes."""
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise Invalid(f"the passphrase is too short: at least {MIN_PASSPHRASE_BYTES} bytes")


def parse(text: bytes) -> KeyFile:
    """Raises CorruptKeyFile for anything that is no key file."""
    if len(text) > MAX_FILE_BYTES:
        raise CorruptKeyFile("key file is too large", expected=MAX_FILE_BYTES, got=len(text))
    try:
        fields = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptKeyFile(f"key file is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise CorruptKeyFile("key file is no JSON object")
    kdf, data = _parse_kdf(fields.get("kdf")), _from_base64(fields.get("data"), "data")
    wanted = KEY_BYTES if kdf is None else IV_BYTES + TAG_BYTES + KEY_BYTES
    if len(data) != wanted:
        raise CorruptKeyFile("key file: 'data' has a wrong length", expected=wanted, got=len(data))
    return KeyFile(
        kdf, _time(fields, "created"), _time(fields, "modified"), data, _fingerprint(fields.get("fingerprint")), _hint(fields.get("hint"))
    )


def _parse_kdf(value: object) -> Scrypt | Pbkdf2 | None:
    if value is None:
        return None
    if isinstance(value, dict) and len(value) == 1:
        name, parameters = next(iter(value.items()))
        if name == "Scrypt" and isinstance(parameters, dict):
            return _parse_scrypt(parameters)
        if name == "PBKDF2" and isinstance(parameters, dict):
            return Pbkdf2(_from_base64(parameters.get("salt"), "salt"), _number(parameters, "iter", MAX_PBKDF2_ITERATIONS))
    raise CorruptKeyFile("key file: unknown 'kdf'")


def _parse_scrypt(parameters: dict[str, object]) -> Scrypt:
    n, r, p = (_number(parameters, key, MAX_SCRYPT_WORK) for key in ("n", "r", "p"))
    memory_bytes = 128 * r * (n + p + 2)
    if n < 2 or n.bit_count() != 1 or n * r * p > MAX_SCRYPT_WORK or memory_bytes > SCRYPT_MEMORY_BYTES:
        raise CorruptKeyFile("key file: scrypt parameters are out of range", got=(n, r, p))
    return Scrypt(_from_base64(parameters.get("salt"), "salt"), n, r, p)


def _number(parameters: dict[str, object], key: str, limit: int) -> int:
    value = parameters.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
        raise CorruptKeyFile(f"key file: '{key}' is out of range")
    return value


def _time(fields: dict[str, object], key: str) -> str:
    value = fields.get(key)
    try:
        if not isinstance(value, str) or not _TIME.match(value):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        raise CorruptKeyFile(f"key file: '{key}' is no time") from None
    return value


def _fingerprint(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _FINGERPRINT.match(value)):
        return value
    raise CorruptKeyFile("key file: 'fingerprint' is no fingerprint")


def _hint(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _is_text(value)):
        return value
    raise CorruptKeyFile("key file: 'hint' is no text")


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: JSON can hold half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from_base64(value: object, key: str) -> bytes:
    try:
        if not isinstance(value, str):
            raise ValueError
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise CorruptKeyFile(f"key file: '{key}' is no base64") from None
