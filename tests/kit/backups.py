"""Write whole snapshots into a datastore, as a backup session would, without a wire."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from platevault.formats import blob, manifest
from platevault.formats.manifest import CryptMode, Manifest, ManifestFile
from platevault.formats.names import MANIFEST_NAME, ROOT, GroupName, Namespace, SnapshotName
from platevault.store.datastore import Datastore

NOON = 1_700_000_000
DAY = 86400


@dataclass(frozen=True)
class Made:
    """A snapshot that was written: its place and the digests of its dynamic archive."""

    ns: Namespace
    name: SnapshotName
    digests: tuple[bytes, ...]


def snapshot(text: str = "host/a", time: int = NOON) -> SnapshotName:
    return SnapshotName(GroupName.parse(text), time)


def pieces(seed: str, count: int = 3, size: int = 500) -> tuple[bytes, ...]:
    """Chunks that differ from seed to seed."""
    return tuple(hashlib.shake_128(f"{seed}/{number}".encode()).digest(size) for number in range(count))


def write_archive(store: Datastore, ns: Namespace, name: SnapshotName, archive: str, chunks: Sequence[bytes]) -> ManifestFile:
    """Insert the chunks and write a dynamic index of them."""
    writer = store.create_dynamic_index(ns, name, archive)
    try:
        end = 0
        for plain in chunks:
            digest = hashlib.sha256(plain).digest()
            store.chunks.insert(digest, blob.encode(plain))
            end += len(plain)
            writer.append(end, digest)
        return ManifestFile(archive, end, writer.close().hex(), CryptMode.NONE)
    except BaseException:
        writer.drop()
        raise


def write_manifest(store: Datastore, ns: Namespace, name: SnapshotName, files: Sequence[ManifestFile]) -> None:
    made = Manifest(name.group.type, name.group.id, name.time, tuple(files), {}, None)
    store.write_blob(ns, name, MANIFEST_NAME, manifest.encode_blob(made))


def backup(
    store: Datastore,
    name: SnapshotName | None = None,
    *,
    ns: Namespace = ROOT,
    chunks: Sequence[bytes] | None = None,
    owner: str = "root@pam",
    archive: str = "root.pxar.didx",
    finish: bool = True,
) -> Made:
    """One backup under the locks that a session takes; on an error the snapshot is removed again."""
    name = name or snapshot()
    content = pieces(str(name)) if chunks is None else chunks
    with store.lock_group(ns, name.group), store.hold_for_writing():
        store.create_group(ns, name.group, owner)
        with store.create_snapshot(ns, name):
            try:
                file = write_archive(store, ns, name, archive, content)
                if finish:
                    write_manifest(store, ns, name, [file])
                    store.flush()
            except Exception:
                store.remove_snapshot(ns, name, force=True, locked=True)
                raise
    return Made(ns, name, tuple(hashlib.sha256(plain).digest() for plain in content))
