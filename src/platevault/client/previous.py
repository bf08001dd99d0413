"""What the previous snapshot of the group lets us leave out.

Source: spec formats §5.5, wire-protocol §3.9, §6.2. Nothing here makes a backup fail: without a trustworthy previous snapshot all is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from platevault.client.encryption import Encryption, check_fingerprint
from platevault.client.known_chunks import KnownChunks
from platevault.client.session import Session
from platevault.errors import Corrupt, Forbidden, Invalid, NotFound
from platevault.formats import dynamic_index, fixed_index, manifest
from platevault.formats.blob import MAX_BLOB_BYTES
from platevault.formats.dynamic_index import DynamicIndex
from platevault.formats.fixed_index import CHUNK_BYTES, FixedIndex
from platevault.formats.manifest import Manifest, ManifestFile
from platevault.formats.names import MANIFEST_NAME, ArchiveKind, archive_kind

INDEX_HEADER_BYTES = 4096
UNUSABLE = (Invalid, NotFound, Corrupt, Forbidden)  # all but a lost connection


class Previous:
    """The manifest of the previous snapshot, None when there is none that we may build on."""

    def __init__(self, session: Session, encryption: Encryption, warn: Callable[[str], None]) -> None:
        self._session = session
        self._warn = warn
        self.manifest = self._fetch(encryption) if self._exists() else None

    def _exists(self) -> bool:
        try:
            return self._session.call("asking for the previous backup", "GET", "/previous_backup_time") is not None
        except UNUSABLE:
            return True  # an old server that cannot say: the manifest will tell

    def _fetch(self, encryption: Encryption) -> Manifest | None:
        try:
            raw = self._session.fetch(
                "fetching the previous manifest", "/previous", {"archive-name": MANIFEST_NAME}, max_bytes=MAX_BLOB_BYTES
            )
            found = manifest.decode_blob(bytes(raw))
            check_manifest(found, encryption)
        except UNUSABLE as error:
            self._warn(f"the previous snapshot is not used: {error}")
            return None
        return found

    def learn(self, name: str, known: KnownChunks) -> None:
        """Make the chunks of one archive of the previous snapshot known, if its index is what the manifest says."""
        entry = None if self.manifest is None else self.manifest.file(name)
        if entry is None:
            return
        try:
            query = {"archive-name": name}
            raw = self._session.fetch(f"fetching the previous {name}", "/previous", query, max_bytes=max_index_bytes(entry))
            known.add_previous(read_index(entry, bytes(raw)).digests)
        except UNUSABLE as error:
            self._warn(f"all of {name} is sent: {error}")


def check_manifest(found: Manifest, encryption: Encryption) -> None:
    """Check that a manifest is signed by the key at hand, or not signed at all. Raises OtherKey or Corrupt."""
    check_fingerprint(found.key_fingerprint, encryption.key)
    if encryption.key is not None:
        found.verify_signature(encryption.key)


def max_index_bytes(entry: ManifestFile) -> int:
    """A length that no honest index of this size has. Chunks have 4 KiB or more on average, or a dynamic index would be of no use."""
    if archive_kind(entry.filename) is ArchiveKind.FIXED:
        return INDEX_HEADER_BYTES + 32 * -(-entry.size // CHUNK_BYTES)
    return INDEX_HEADER_BYTES + 40 * (entry.size // 4096 + 1024)


def read_index(entry: ManifestFile, raw: bytes) -> FixedIndex | DynamicIndex:
    """Decode an index and compare checksum and size, computed from its entries, with the manifest. Raises Corrupt."""
    index = fixed_index.decode(raw) if archive_kind(entry.filename) is ArchiveKind.FIXED else dynamic_index.decode(raw)
    got = index.checksum().hex()
    if got != entry.csum or index.size != entry.size:
        text = f"{entry.filename} is not the index that the manifest names"
        raise Corrupt(text, expected=(entry.csum, entry.size), got=(got, index.size))
    return index
