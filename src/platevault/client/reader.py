"""Reading a snapshot: its manifest, its indexes and blobs, each checked against the manifest, and its chunks.

Source: spec wire-protocol §4, §6.5. The server sends files as they are stored; CRC, digests and checksums are checked here.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future

from platevault.client.encryption import check_fingerprint, key_for
from platevault.client.previous import max_index_bytes, read_index
from platevault.client.session import Session, answered
from platevault.errors import Corrupt, NotFound
from platevault.formats import blob, manifest
from platevault.formats.blob import MAX_BLOB_BYTES
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import FixedIndex
from platevault.formats.keys import CryptKey, plain_digest
from platevault.formats.manifest import Manifest, ManifestFile
from platevault.formats.names import MANIFEST_NAME, SnapshotName
from platevault.wire.http2.call import Answer

Index = FixedIndex | DynamicIndex


class CorruptChunk(Corrupt):
    """A chunk does not have the digest that its index names. Facts `digest`, `got` (hex)."""


class SnapshotReader:
    """One reader session on one snapshot. Thread-safe. The manifest is fetched and, with a key, its signature checked at once.

    `is_signed`: the signature was checked with the key at hand, so that what is read is what was written.
    """

    def __init__(self, session: Session, key: CryptKey | None = None, expected: SnapshotName | None = None) -> None:
        """expected: the snapshot that was asked for; a server may have put another one, signed as well, in its place.

        Raises OtherKey, Corrupt, or a Refused; the session is closed then.
        """
        self._session = session
        self.key = key
        self.is_signed = False
        try:
            self.manifest = self._fetch_manifest()
            self._check_name(expected)
        except BaseException:
            session.close()
            raise

    def _check_name(self, expected: SnapshotName | None) -> None:
        if self.is_signed and expected is not None and self.manifest.snapshot != expected:
            text = f"the server has answered with the signed manifest of {self.manifest.snapshot} instead of {expected}"
            raise Corrupt(text, expected=expected, got=self.manifest.snapshot)

    def __enter__(self) -> SnapshotReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; chunks still awaited fail with Unavailable. Harmless twice."""
        self._session.close()

    def _fetch_manifest(self) -> Manifest:
        raw = self._session.fetch("fetching the manifest", "/download", {"file-name": MANIFEST_NAME}, max_bytes=MAX_BLOB_BYTES)
        found = manifest.decode_blob(bytes(raw))
        check_fingerprint(found.key_fingerprint, self.key)
        self.is_signed = self.key is not None and found.verify_signature(self.key)
        return found

    def entry(self, name: str) -> ManifestFile:
        """The manifest's entry for a file by its server name. Raises NotFound with the names that exist."""
        found = self.manifest.file(name)
        if found is None:
            names = ", ".join(file.filename for file in self.manifest.files)
            raise NotFound(f"{name} is not in the snapshot; it has {names}", name=name)
        return found

    def index(self, name: str) -> Index:
        """Download an index and check it; its chunks may be fetched from then on."""
        entry = self.entry(name)
        raw = self._session.fetch(f"fetching {name}", "/download", {"file-name": name}, max_bytes=max_index_bytes(entry))
        return read_index(entry, bytes(raw))

    def blob(self, name: str) -> bytes:
        """The content of a blob, decrypted. Raises Corrupt when it is not the file that the manifest names."""
        entry = self.entry(name)
        raw = bytes(self._session.fetch(f"fetching {name}", "/download", {"file-name": name}, max_bytes=MAX_BLOB_BYTES))
        got = hashlib.sha256(raw).hexdigest()
        if got != entry.csum or len(raw) != entry.size:
            raise Corrupt(f"{name} is not the file that the manifest names", expected=entry.csum, got=got)
        encrypted = blob.kind_of(raw).is_encrypted
        return blob.decode(raw, key=self._key(entry) if encrypted else None)

    def decoder(self, name: str) -> ChunkDecoder:
        """What turns the chunks of an archive into data. Raises MissingKey when it is encrypted and no key was given."""
        entry = self.entry(name)
        return ChunkDecoder(self._key(entry), name)

    def request_chunk(self, digest: bytes) -> Future[Answer]:
        """Ask for a chunk without waiting."""
        return self._session.send_get("/chunk", {"digest": digest.hex()}, max_bytes=MAX_BLOB_BYTES)

    def _key(self, entry: ManifestFile) -> CryptKey | None:
        return key_for(entry.crypt_mode, self.key, entry.filename, self.manifest.key_fingerprint)


class ChunkDecoder:
    """Checks and opens the chunks of one archive. Thread-safe."""

    def __init__(self, key: CryptKey | None, name: str) -> None:
        self._key, self._name = key, name

    def open(self, digest: bytes, size: int, pending: Future[Answer]) -> bytes:
        """Wait for a chunk and return its `size` bytes of data.

        Raises Corrupt for a wrong CRC or encryption state, CorruptChunk for other data than the digest promises.
        """
        raw = answered(f"fetching a chunk of {self._name}", pending)
        if blob.kind_of(raw).is_encrypted != (self._key is not None):
            expected = "encrypted" if self._key is not None else "plain"
            raise Corrupt(f"a chunk of {self._name} is not {expected}, as the manifest says", digest=digest.hex())
        data = blob.decode(raw, key=self._key, max_bytes=size)
        got = plain_digest(data) if self._key is None else self._key.digest(data)
        if got != digest or len(data) != size:
            raise CorruptChunk(f"a chunk of {self._name} is damaged: {digest.hex()}", digest=digest.hex(), got=got.hex())
        return data

    def zero_digest(self, size: int) -> bytes:
        """The digest of `size` zero bytes; such a chunk need not be fetched."""
        zeros = bytes(size)
        return plain_digest(zeros) if self._key is None else self._key.digest(zeros)
