"""A disk image to be read: a file or a block device, with the regions that hold no data.

Holes are asked for with SEEK_DATA and SEEK_HOLE (lseek(2)); where the kernel or the file system cannot say, all is data. Linux.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType

from platevault.errors import Invalid, NotFound, Unavailable


class UnreadableSource(Unavailable):
    """A file to be backed up cannot be read, or changed its size meanwhile. Fact `path`."""


class ImageSource:
    """An open image. `read_into` is safe from several threads, `is_hole` belongs to one. `size` in bytes, at least 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Not blocking, or a pipe without a writer would hold us here before we can refuse it.
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise NotFound(f"{path} does not exist", path=path) from error
        except OSError as error:
            raise UnreadableSource(f"cannot open {path}: {error.strerror}", path=path) from error
        try:
            self.size = self._measure()
        except BaseException:
            os.close(self._file)
            raise
        self._data_start = self._data_end = 0

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def _measure(self) -> int:
        mode = os.fstat(self._file).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise Invalid(f"{self.path} is no file and no block device; an image needs a known size", path=self.path)
        size = os.lseek(self._file, 0, os.SEEK_END)  # also the size of a block device
        if size == 0:
            raise Invalid(f"{self.path} is empty; an image has at least one byte", path=self.path)
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return size

    def is_hole(self, start: int, end: int) -> bool:
        """Whether the bytes from `start` to `end` are known to be zero without reading. Ask in ascending order."""
        if start >= self._data_end:
            self._find_data(start)
        return end <= self._data_start

    def _find_data(self, start: int) -> None:
        try:
            self._data_start = os.lseek(self._file, start, os.SEEK_DATA)
            self._data_end = os.lseek(self._file, self._data_start, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: only a hole up to the end. Anything else: this kind of file cannot tell.
            self._data_start = self.size if error.errno == errno.ENXIO else start
            self._data_end = self.size

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises UnreadableSource for an I/O error or when the image ends earlier than it did."""
        filled = 0
        try:
            while filled < len(view):
                count = os.preadv(self._file, [view[filled:]], offset + filled)
                if count == 0:
                    raise UnreadableSource(f"{self.path} became shorter while it was read", path=self.path)
                filled += count
        except OSError as error:
            raise UnreadableSource(f"cannot read {self.path} at {offset + filled}: {error.strerror}", path=self.path) from error
