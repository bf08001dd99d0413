"""Chunks as files: stored, replaced, set aside, deleted.

Source: spec formats §1.3, §1.4. A chunk gets its name by rename, only when complete. What is decided by looking at an existing file
(keep, replace, delete as garbage) happens under the lock of its digest's stripe, so that garbage collection cannot delete what an
insert in this process has just taken for present. The stripes belong to the directory, not to one object for it.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from platevault.errors import Corrupt
from platevault.formats import blob as blobs
from platevault.store.datastore import Digest, Inserted
from platevault.store.filesystem import dirs, replace
from platevault.store.filesystem.chunk_folders import ChunkFolders, times_of
from platevault.store.filesystem.chunk_writer import FileChunkWriter
from platevault.store.filesystem.doubts import Doubts
from platevault.store.filesystem.insert_rules import MAGIC_BYTES, Action, ChunkClash, decide
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.touch import touch
from platevault.store.filesystem.trouble import translated, writing

BAD_NUMBERS = 10
log = logging.getLogger(__name__)


class FilesystemChunks(ChunkFolders):
    """The chunks of one datastore. A stripe serialises decisions about the files of one digest within this process."""

    def __init__(
        self,
        chunks_dir: int,
        path: str,
        *,
        owner: dirs.Owner | None,
        sync_level: SyncLevel,
        stripes: Sequence[threading.Lock],
        doubts: Doubts,
    ) -> None:
        """chunks_dir: belongs to this object from now on. doubts: which stored chunks are checked before one is taken for present."""
        super().__init__(chunks_dir, path, stripes=stripes)
        self._owner = owner
        self._sync = sync_level is SyncLevel.FILE
        self._doubts = doubts

    def insert(self, digest: Digest, blob: bytes | bytearray | memoryview) -> Inserted:
        """Store one encoded blob under its digest unless it is there already; its bytes have been checked by the caller.

        A chunk that exists is touched, which garbage collection takes as a sign of use. On return the chunk survives a crash of
        this process; a power cut after `flush()` of the datastore (sync level `file`: at once).
        Raises ChunkClash by the rules of spec formats §1.4, StorageFailed when the disk is full or fails, and then leaves no
        partial file.
        """
        view = memoryview(blob).cast("B")
        magic = bytes(view[:MAGIC_BYTES])
        with writing("chunk", digest.hex()), self._folder(digest) as folder:
            with self._stripe(digest):
                kept = self._keep_existing(folder, digest, len(view), magic)
            if kept is not None:
                return kept
            descriptor, temp = replace.create_temp(folder, digest.hex(), owner=self._owner)
            try:
                dirs.write_all(descriptor, view, 0)
                return self.place(folder, digest, descriptor, temp, len(view), magic)
            except BaseException:
                replace.forget(folder, temp)
                raise
            finally:
                os.close(descriptor)

    def begin(self, digest: Digest, *, encoded_bytes: int, header_bytes: int) -> FileChunkWriter:
        """Start a streamed insert of a blob of `encoded_bytes` in all; the pieces start behind `header_bytes`."""
        with writing("chunk", digest.hex()):
            folder = self._open_folder(digest)
            try:
                descriptor, temp = replace.create_temp(folder, digest.hex(), owner=self._owner)
            except OSError:
                os.close(folder)
                raise
        return FileChunkWriter(self, digest, folder, descriptor, temp, encoded_bytes=encoded_bytes, header_bytes=header_bytes)

    def place(self, folder: int, digest: Digest, descriptor: int, temp: str, length: int, magic: bytes) -> Inserted:
        """Give the finished temp file its name, unless another writer was first; the temp file is gone or renamed on return.

        The look at what is there and the rename are one step: garbage collection, which looks and deletes in one step, must not
        find the old file and delete the new one. With level `file` the name is durable before anybody else finds the chunk present.
        """
        if self._sync:
            os.fsync(descriptor)
        with self._stripe(digest):
            kept = self._keep_existing(folder, digest, length, magic)
            if kept is None:
                os.rename(temp, digest.hex(), src_dir_fd=folder, dst_dir_fd=folder)
                if self._sync:
                    os.fsync(folder)
                return Inserted(length, existed=False)
        replace.forget(folder, temp)
        return kept

    def _keep_existing(self, folder: int, digest: Digest, length: int, magic: bytes) -> Inserted | None:
        """Touch the stored file and say so when it stays; None when the incoming blob is to be written. The caller holds the stripe."""
        name = digest.hex()
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise ChunkClash(f"chunk {name} is not a regular file", digest=digest)
            if self._is_torn(folder, name, found):
                return None
            stored_magic = magic if found.st_size == length else _magic(folder, name)
            if (
                decide(digest, stored_bytes=found.st_size, stored_magic=stored_magic, incoming_bytes=length, incoming_magic=magic)
                is Action.KEEP
            ):
                touch(folder, name)
                return Inserted(found.st_size, existed=True)
        return None

    def _is_torn(self, folder: int, name: str, found: os.stat_result) -> bool:
        """Whether a stored file, which may be one that a power cut tore, does not hold what it should. The caller holds the stripe."""
        if not self._doubts.covers(found.st_mtime):
            return False
        try:
            blobs.check_crc(_content(folder, name, from_disk=True))
        except Corrupt as error:
            log.warning("chunk %s was torn by a power cut or lost writes and is written anew: %s", name, error)
            return True
        os.utime(name, dir_fd=folder, follow_symlinks=False)  # now it is known to be on the disk, and need not be read again
        return False

    def touch(self, digest: Digest) -> bool:
        """Refresh the times that garbage collection looks at. False when there is no such chunk, or only a torn one."""
        with translated("touching chunk", digest.hex()), suppress(FileNotFoundError), self._folder(digest) as folder, self._stripe(digest):
            found = dirs.regular(folder, digest.hex())
            if found is not None and not self._is_torn(folder, digest.hex(), found):
                touch(folder, digest.hex())
                return True
        return False

    def age(self, digest: Digest, *, seconds: float) -> None:
        """Set the last sign of use back, to see whether a touch is able to move it forward again."""
        with translated("touching chunk", digest.hex()), self._folder(digest) as folder:
            then = os.stat(digest.hex(), dir_fd=folder, follow_symlinks=False).st_atime - seconds
            os.utime(digest.hex(), (then, then), dir_fd=folder, follow_symlinks=False)

    def mark_bad(self, digest: Digest, *, is_bad: Callable[[bytes], bool]) -> str | None:
        """Rename a corrupt chunk to the first free `<digest>.N.bad` (N = 9 is overwritten) and return that name.

        is_bad: is asked once more, about the bytes that are stored now; no other writer of this process comes between the answer
        and the rename. None when it says no: another backup has stored the chunk anew, or the first look was wrong. Raises
        NotInStore, StorageFailed.
        """
        with translated("renaming chunk", digest.hex()), self._folder(digest) as folder, self._stripe(digest):
            if not is_bad(_content(folder, digest.hex())):
                return None
            names = [f"{digest.hex()}.{number}.bad" for number in range(BAD_NUMBERS)]
            free = next((name for name in names if dirs.regular(folder, name) is None), names[-1])
            os.rename(digest.hex(), free, src_dir_fd=folder, dst_dir_fd=folder)
            return free

    def delete_unused(self, name: str, *, before: float) -> int | None:
        """Delete the file of a chunk or `.bad` file if its last sign of use is older than `before`; the size deleted, None if it stays.

        The look at the file and its removal are one step for every insert and touch of this process.
        """
        digest = bytes.fromhex(name[:64])
        with translated("deleting chunk", name), suppress(FileNotFoundError), self._folder(digest) as folder, self._stripe(digest):
            found = dirs.regular(folder, name)
            if found is not None and times_of(found).used < before:
                os.unlink(name, dir_fd=folder)
                return found.st_size
        return None


def _magic(folder: int, name: str) -> bytes:
    descriptor = dirs.open_regular(folder, name)
    try:
        return os.pread(descriptor, MAGIC_BYTES, 0)
    finally:
        os.close(descriptor)


def _content(folder: int, name: str, *, from_disk: bool = False) -> bytes:
    descriptor = dirs.open_regular(folder, name)
    try:
        if from_disk:  # after lost writes memory may still hold what the disk does not
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return dirs.read_all(descriptor)
    finally:
        os.close(descriptor)
