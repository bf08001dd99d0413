"""What was uploaded for an archive or a session, and how task logs say it. Source: spec wire-protocol §3.1, §3.14."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.store.datastore import Inserted


@dataclass(slots=True)
class UploadStatistics:
    """Chunk uploads: how many, their plain and stored bytes, and how many the store had already."""

    count: int = 0
    size: int = 0
    compressed_size: int = 0
    duplicates: int = 0

    def add(self, size: int, inserted: Inserted) -> None:
        """Count one upload of `size` plain bytes."""
        self.count += 1
        self.size += size
        self.compressed_size += inserted.stored_bytes
        self.duplicates += inserted.existed

    def include(self, other: UploadStatistics) -> None:
        """Add the figures of an archive to those of its session."""
        self.count += other.count
        self.size += other.size
        self.compressed_size += other.compressed_size
        self.duplicates += other.duplicates

    def as_json(self) -> dict[str, int]:
        """As it stands in the manifest (`unprotected.chunk_upload_stats`)."""
        return {"compressed_size": self.compressed_size, "count": self.count, "duplicates": self.duplicates, "size": self.size}


def closing_lines(name: str, uuid: str, checksum: bytes, size: int, chunks: int, uploads: UploadStatistics) -> list[str]:
    """The task log lines about an index that was closed. size: of the archive in bytes; chunks: entries appended to it."""
    lines = [f"Upload statistics for '{name}'", f"UUID: {uuid}", f"Checksum: {checksum.hex()}", f"Size: {size}", f"Chunk count: {chunks}"]
    if not size or not chunks:
        return lines
    lines.append(f"Upload size: {uploads.size} ({uploads.size * 100 // size}%)")
    by_client = max(0, chunks - uploads.count)  # QEMU uploads a chunk of zeros that it may not need
    if by_client or uploads.duplicates:
        share = (by_client + uploads.duplicates) * 100 // chunks
        lines.append(f"Duplicates: {by_client}+{uploads.duplicates} ({share}%)")
    if uploads.size:
        lines.append(f"Compression: {uploads.compressed_size * 100 // uploads.size}%")
    return lines
