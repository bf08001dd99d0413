"""Chunks as files: `.chunks/<first 4 hex digits>/<64 hex digits>`.

Source: spec formats §1. A chunk gets its name by rename, only when complete. What is decided by looking at an existing file
(keep, replace, delete as garbage) happens under the lock of its digest's stripe, so that garbage collection cannot delete what an
insert in this process has just taken for present. The stripes belong to the directory, not to one object for it.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from platevault.store.datastore import ChunkEntry, ChunkTimes, Digest, Inserted
from platevault.store.filesystem import dirs, replace
from platevault.store.filesystem.chunk_writer import FileChunkWriter
from platevault.store.filesystem.insert_rules import MAGIC_BYTES, Action, ChunkClash, decide
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.trouble import failed, translated, writing

FOLDERS = 65536
BAD_NUMBERS = 10
ENTRY = re.compile(r"([0-9a-f]{64})(?:\.([0-9])\.bad)?")


class FilesystemChunks:
    """The chunk directory of one datastore. A stripe serialises decisions about the files of one digest within this process.

    The descriptor of the directory lives as long as the object: whoever still works with it works in the right directory.
    """

    def __init__(
        self, chunks_dir: int, path: str, *, owner: dirs.Owner | None, sync_level: SyncLevel, stripes: Sequence[threading.Lock]
    ) -> None:
        """chunks_dir: belongs to this object from now on."""
        self._dir = chunks_dir
        self._path = path
        self._owner = owner
        self._sync = sync_level is SyncLevel.FILE
        self._stripes = stripes
        self._closing = weakref.finalize(self, os.close, chunks_dir)

    def close(self) -> None:
        """Let go of the directory. No call may follow. Twice is harmless."""
        self._dir = -1
        self._closing()

    # writing
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
            stored_magic = magic if found.st_size == length else _magic(folder, name)
            if (
                decide(digest, stored_bytes=found.st_size, stored_magic=stored_magic, incoming_bytes=length, incoming_magic=magic)
                is Action.KEEP
            ):
                os.utime(name, dir_fd=folder, follow_symlinks=False)
                return Inserted(found.st_size, existed=True)
        return None

    # reading
    def load(self, digest: Digest) -> bytes:
        """The stored blob, unchecked. Raises NotInStore when there is no such chunk, StorageFailed when it cannot be read."""
        with self.open(digest) as file, translated("reading chunk", digest.hex()):
            return dirs.read_all(file.fileno())

    def open(self, digest: Digest) -> BinaryIO:
        """The stored blob as an unbuffered file."""
        with translated("opening chunk", digest.hex()), self._folder(digest) as folder:
            return os.fdopen(dirs.open_regular(folder, digest.hex()), "rb", buffering=0)

    def stored_bytes(self, digest: Digest) -> int | None:
        """Size of the stored blob, None when there is no such chunk."""
        found = self._look("looking for chunk", digest)
        return None if found is None else found.st_size

    def touch(self, digest: Digest) -> bool:
        """Refresh the times that garbage collection looks at. False when there is no such chunk."""
        with translated("touching chunk", digest.hex()), suppress(FileNotFoundError), self._folder(digest) as folder, self._stripe(digest):
            if dirs.regular(folder, digest.hex()) is not None:
                os.utime(digest.hex(), dir_fd=folder, follow_symlinks=False)
                return True
        return False

    def in_reading_order(self, digests: Iterable[Digest]) -> list[Digest]:
        """The digests in the order of their inodes, which on spinning disks is close to the order of their blocks. Missing ones first."""
        return sorted(digests, key=self._inode)

    def _inode(self, digest: Digest) -> int:
        try:
            return os.stat(self._relative(digest), dir_fd=self._dir, follow_symlinks=False).st_ino
        except OSError:
            return 0  # reading it will tell what is wrong

    def times(self, digest: Digest) -> ChunkTimes | None:
        """Size and last sign of use of a chunk, None when there is no such chunk."""
        found = self._look("looking for chunk", digest)
        return None if found is None else _times(found)

    def _look(self, what: str, digest: Digest) -> os.stat_result | None:
        with translated(what, digest.hex()), suppress(FileNotFoundError), self._folder(digest) as folder:
            return dirs.regular(folder, digest.hex())
        return None

    def age(self, digest: Digest, *, seconds: float) -> None:
        """Set the last sign of use back, to see whether a touch is able to move it forward again."""
        with translated("touching chunk", digest.hex()), self._folder(digest) as folder:
            then = os.stat(digest.hex(), dir_fd=folder, follow_symlinks=False).st_atime - seconds
            os.utime(digest.hex(), (then, then), dir_fd=folder, follow_symlinks=False)

    # corrupt chunks and garbage
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

    def folder(self, number: int) -> list[tuple[str, int, float]]:
        """The files of one chunk directory as name, size and last sign of use; none when the directory is missing."""
        try:
            return self._list(f"{number:04x}")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise failed("listing chunks", f"{self._path}/{number:04x}", error) from error

    def _list(self, name: str) -> list[tuple[str, int, float]]:
        descriptor = os.open(name, dirs.DIRECTORY, dir_fd=self._dir)
        found = []
        try:
            for entry in os.listdir(descriptor):
                if ENTRY.fullmatch(entry) and (known := dirs.regular(descriptor, entry)) is not None:
                    found.append((entry, known.st_size, max(known.st_atime, known.st_mtime)))
        finally:
            os.close(descriptor)
        return found

    def entries(self) -> Iterator[ChunkEntry]:
        """Every chunk and every `.bad` file."""
        for number in range(FOLDERS):
            for name, _, _ in self.folder(number):
                yield ChunkEntry(bytes.fromhex(name[:64]), int(name[65]) if len(name) > 64 else None)

    def delete_unused(self, name: str, *, before: float) -> int | None:
        """Delete the file of a chunk or `.bad` file if its last sign of use is older than `before`; the size deleted, None if it stays.

        The look at the file and its removal are one step for every insert and touch of this process.
        """
        digest = bytes.fromhex(name[:64])
        with translated("deleting chunk", name), self._folder(digest) as folder, self._stripe(digest):
            found = dirs.regular(folder, name)
            if found is None or _times(found).used >= before:
                return None
            os.unlink(name, dir_fd=folder)
            return found.st_size

    # paths
    def _relative(self, digest: Digest) -> str:
        text = digest.hex()
        return f"{text[:4]}/{text}"

    def _open_folder(self, digest: Digest) -> int:
        return os.open(digest.hex()[:4], dirs.DIRECTORY, dir_fd=self._dir)

    def _folder(self, digest: Digest) -> _Folder:
        return _Folder(self._open_folder(digest))

    def _stripe(self, digest: Digest) -> threading.Lock:
        return self._stripes[digest[-1] % len(self._stripes)]


class _Folder:
    """A chunk directory, open while the block runs. A class, because a generator costs more than the system calls."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def _magic(folder: int, name: str) -> bytes:
    descriptor = dirs.open_regular(folder, name)
    try:
        return os.pread(descriptor, MAGIC_BYTES, 0)
    finally:
        os.close(descriptor)


def _content(folder: int, name: str) -> bytes:
    descriptor = dirs.open_regular(folder, name)
    try:
        return dirs.read_all(descriptor)
    finally:
        os.close(descriptor)


def _times(found: os.stat_result) -> ChunkTimes:
    return ChunkTimes(found.st_size, max(found.st_atime, found.st_mtime))
