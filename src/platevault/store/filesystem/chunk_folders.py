"""The directories of chunks, for reading: `.chunks/<first 4 hex digits>/<64 hex digits>`. Source: spec formats §1.1, §1.7."""

from __future__ import annotations

import os
import re
import stat
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from platevault.store.datastore import ChunkEntry, ChunkTimes, Digest
from platevault.store.filesystem import dirs
from platevault.store.filesystem.trouble import failed, translated

FOLDERS = 65536
ENTRY = re.compile(r"([0-9a-f]{64})(?:\.([0-9])\.bad)?")


class ChunkFolders:
    """The chunk directory of one datastore.

    The descriptor of the directory lives as long as the object: whoever still works with it works in the right directory.
    """

    def __init__(self, chunks_dir: int, path: str, *, stripes: Sequence[threading.Lock]) -> None:
        """chunks_dir: belongs to this object from now on. stripes: see `FilesystemChunks`."""
        self._dir = chunks_dir
        self._path = path
        self._stripes = stripes
        self._closing = weakref.finalize(self, os.close, chunks_dir)

    def close(self) -> None:
        """Let go of the directory. No call may follow. Twice is harmless."""
        self._dir = -1
        self._closing()

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
        return None if found is None else times_of(found)

    def _look(self, what: str, digest: Digest) -> os.stat_result | None:
        with translated(what, digest.hex()), suppress(FileNotFoundError), self._folder(digest) as folder:
            return dirs.regular(folder, digest.hex())
        return None

    def folder(self, number: int) -> list[tuple[str, int, float]]:
        """The files of one chunk directory as name, size and last sign of use; none when the directory is missing."""
        try:
            return self._list(f"{number:04x}")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise failed("listing chunks", f"{self._path}/{number:04x}", error) from error

    def _list(self, name: str) -> list[tuple[str, int, float]]:
        """Written out, because it runs for every chunk: each call in the loop would cost a garbage collection a tenth of its time."""
        descriptor = os.open(name, dirs.DIRECTORY, dir_fd=self._dir)
        found = []
        is_entry, look, is_regular = ENTRY.fullmatch, os.stat, stat.S_ISREG
        try:
            for entry in os.listdir(descriptor):
                if not is_entry(entry):
                    continue
                try:
                    known = look(entry, dir_fd=descriptor, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed since it was listed
                if is_regular(known.st_mode):
                    read, written = known.st_atime, known.st_mtime
                    found.append((entry, known.st_size, read if read > written else written))
        finally:
            os.close(descriptor)
        return found

    def entries(self) -> Iterator[ChunkEntry]:
        """Every chunk and every `.bad` file."""
        for number in range(FOLDERS):
            for name, _, _ in self.folder(number):
                yield ChunkEntry(bytes.fromhex(name[:64]), int(name[65]) if len(name) > 64 else None)

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


def times_of(found: os.stat_result) -> ChunkTimes:
    """Size and last sign of use of a file."""
    return ChunkTimes(found.st_size, max(found.st_atime, found.st_mtime))
