"""Manifest `index.json.blob`: what a snapshot consists of.

Source: spec formats §5, wire-protocol §3.11. Everything outside `unprotected` may be signed: it is kept to the letter. Like the
reference server, keys that are not known are dropped. The text form is JSON with two spaces and sorted keys.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from platevault.errors import Corrupt
from platevault.formats import blob
from platevault.formats.keys import CryptKey
from platevault.formats.names import BackupType, SnapshotName

MAX_MANIFEST_BYTES = 4 * 1024 * 1024  # 16,000 files; JSON takes up to 21 times its length in memory
MAX_DEPTH = 100  # of nested values; the reference reads 128 levels
_ANY_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z", re.ASCII)


class CorruptManifest(Corrupt):
    """The bytes are no manifest, or its signature is wrong."""


class CryptMode(StrEnum):
    """How the content of one file is protected."""

    NONE = "none"
    ENCRYPT = "encrypt"
    SIGN_ONLY = "sign-only"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One archive or blob. `size` in bytes: logical for an index, of the encoded file for a blob; `csum`: 64 hex digits."""

    filename: str
    size: int
    csum: str
    crypt_mode: CryptMode = CryptMode.NONE

    def as_json(self) -> dict[str, object]:
        return {"crypt-mode": self.crypt_mode.value, "csum": self.csum, "filename": self.filename, "size": self.size}


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` in upload order, which the signature covers; `unprotected` is free JSON that anybody may change."""

    backup_type: BackupType
    backup_id: str
    backup_time: int
    files: tuple[ManifestFile, ...] = ()
    unprotected: Mapping[str, Any] = field(default_factory=dict)
    signature: str | None = None

    @property
    def snapshot(self) -> SnapshotName:
        """The name that the manifest claims. Raises InvalidName when it cannot be one."""
        return SnapshotName.make(self.backup_type, self.backup_id, self.backup_time)

    @property
    def size(self) -> int:
        """Sum of the sizes of all files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def key_fingerprint(self) -> str | None:
        """95-character text, or None without encryption."""
        value = self.unprotected.get("key-fingerprint")
        return value if isinstance(value, str) else None

    def file(self, name: str) -> ManifestFile | None:
        return next((file for file in self.files if file.filename == name), None)

    def with_unprotected(self, **values: Any) -> Manifest:
        """A copy with keys of `unprotected` set (underscores as they are), or removed where the value is None."""
        return self.with_unprotected_items(values)

    def with_unprotected_items(self, values: Mapping[str, Any]) -> Manifest:
        merged = {**self.unprotected, **values}
        return replace(self, unprotected={key: value for key, value in merged.items() if value is not None})

    def canonical(self) -> bytes:
        """The signed part: no white space, keys sorted, without `unprotected` and `signature`."""
        return canonical_json(self._signed_part())

    def _signed_part(self) -> dict[str, object]:
        return {
            "backup-id": self.backup_id,
            "backup-time": self.backup_time,
            "backup-type": self.backup_type.value,
            "files": [file.as_json() for file in self.files],
        }

    def as_json(self) -> dict[str, object]:
        return {**self._signed_part(), "signature": self.signature, "unprotected": dict(self.unprotected)}

    def signed(self, key: CryptKey) -> Manifest:
        """A copy with signature and key fingerprint."""
        marked = self.with_unprotected_items({"key-fingerprint": key.fingerprint_text})
        return replace(marked, signature=key.sign(self.canonical()))

    def verify_signature(self, key: CryptKey) -> bool:
        """False when the manifest is unsigned. Raises CorruptManifest for another key or a wrong signature."""
        if self.signature is None:
            return False
        if self.key_fingerprint is not None and self.key_fingerprint.lower() != key.fingerprint_text:
            raise CorruptManifest("manifest was signed with another key", expected=self.key_fingerprint, got=key.fingerprint_text)
        if not hmac.compare_digest(self.signature, key.sign(self.canonical())):
            raise CorruptManifest("signature of the manifest is wrong")
        return True


def canonical_json(value: object) -> bytes:
    """Spec formats §5.3. Raises CorruptManifest for null, floats and lone surrogates, which have no canonical form."""
    _refuse_null(value)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (UnicodeEncodeError, ValueError, TypeError) as error:
        raise CorruptManifest(f"no canonical form: {error}") from error


def _refuse_null(value: object) -> None:
    if value is None or isinstance(value, float):
        raise CorruptManifest("null and fractions have no canonical form")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_null(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_null(item)


def to_json(manifest: Manifest) -> bytes:
    """The text form, without final newline."""
    return json.dumps(manifest.as_json(), sort_keys=True, indent=2, ensure_ascii=False).encode()


def from_json(text: bytes) -> Manifest:
    """Raises CorruptManifest for anything that is no manifest."""
    try:
        parsed = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptManifest(f"manifest is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise CorruptManifest("manifest is no JSON object")
    return Manifest(
        _backup_type(parsed.get("backup-type")),
        _text(parsed, "backup-id"),
        _integer(parsed, "backup-time", signed=True),
        tuple(_file(item) for item in _list(parsed, "files")),
        _unprotected(parsed.get("unprotected")),
        _signature(parsed.get("signature")),
    )


def _backup_type(value: object) -> BackupType:
    if not isinstance(value, str) or value not in BackupType._value2member_map_:
        raise CorruptManifest("manifest: 'backup-type' is none of vm, ct, host")
    return BackupType(value)


def _text(parsed: dict[str, object], key: str) -> str:
    value = parsed.get(key)
    if not isinstance(value, str):
        raise CorruptManifest(f"manifest: '{key}' is no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CorruptManifest(f"manifest: '{key}' is no valid text") from error
    return value


def _integer(parsed: dict[str, object], key: str, *, signed: bool = False) -> int:
    value = parsed.get(key)
    low, high = (-(2**63), 2**63 - 1) if signed else (0, 2**64 - 1)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CorruptManifest(f"manifest: '{key}' is no integer in range")
    return value


def _list(parsed: dict[str, object], key: str) -> list[object]:
    value = parsed.get(key)
    if not isinstance(value, list):
        raise CorruptManifest(f"manifest: '{key}' is no list")
    return value


def _file(item: object) -> ManifestFile:
    if not isinstance(item, dict):
        raise CorruptManifest("manifest: an entry of 'files' is no object")
    csum, mode = _text(item, "csum"), item.get("crypt-mode", "none")
    if not _ANY_HEX64.match(csum):
        raise CorruptManifest("manifest: 'csum' is not 64 hex digits", got=csum)
    if not isinstance(mode, str) or mode not in CryptMode._value2member_map_:
        raise CorruptManifest("manifest: unknown 'crypt-mode'")
    return ManifestFile(_text(item, "filename"), _integer(item, "size"), csum, CryptMode(mode))


def _unprotected(value: object) -> Mapping[str, Any]:
    """An object that can be written again: a server does that with what a client sent."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not _is_shallow(value):
        raise CorruptManifest("manifest: 'unprotected' is no object, or one of too many levels")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise CorruptManifest("manifest: 'unprotected' is no clean JSON") from error
    return value


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner for outer in level if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def _signature(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isascii():
        raise CorruptManifest("manifest: 'signature' is no text")
    return value


def decode_blob(raw: bytes) -> Manifest:
    """From the blob file. Raises CorruptManifest, also when it is encrypted: a manifest never is."""
    try:
        return from_json(blob.decode(raw, max_bytes=MAX_MANIFEST_BYTES))
    except (blob.CorruptBlob, blob.KeyNeeded) as error:
        raise CorruptManifest(f"manifest: {error.message}") from error


def encode_blob(manifest: Manifest) -> bytes:
    """The blob file: compressed if that is not larger, never encrypted."""
    return blob.encode(to_json(manifest))
