"""Back up a small file (a guest configuration, a log) as one blob.

Source: spec formats §2, §4.3, wire-protocol §3.3.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from platevault.client.image_source import UnreadableSource
from platevault.client.session import Session, answered
from platevault.errors import Invalid, NotFound
from platevault.formats import blob
from platevault.formats.blob import MAX_CHUNK_BYTES
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode, ManifestFile


def read_small_file(path: Path) -> bytes:
    """The whole file, at most 16 MiB. Raises NotFound, UnreadableSource, or Invalid when it is larger."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CHUNK_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist", path=path) from error
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror}", path=path) from error
    if len(data) > MAX_CHUNK_BYTES:
        raise Invalid(f"{path} is larger than 16 MiB: back it up as an image (.img) or in a directory (.pxar)", path=path)
    return data


def back_up_blob(session: Session, data: bytes, name: str, *, key: CryptKey | None, mode: CryptMode) -> ManifestFile:
    """Send `data` as blob `name` (with .blob), compressed when that helps and encrypted when there is a key."""
    return upload_blob(session, blob.encode(data, key=key), name, mode=mode)


def upload_blob(session: Session, encoded: bytes, name: str, *, mode: CryptMode) -> ManifestFile:
    """Send an encoded blob; returns what the manifest says about it: size and SHA-256 of the encoded form."""
    query = {"file-name": name, "encoded-size": len(encoded)}
    answered(f"uploading {name}", session.send("POST", "/blob", query, encoded))
    return ManifestFile(name, len(encoded), hashlib.sha256(encoded).hexdigest(), mode)
