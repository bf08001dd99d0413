"""Flags of an inode (chattr(1)) and its quota project, which only ioctl(2) reads and sets.

Source: spec formats §8.3.1; linux/fs.h, linux/msdos_fs.h. Numbers of the request codes: x86, ARM, RISC-V, s390.
"""

from __future__ import annotations

import array
import errno
import fcntl
import struct
from collections.abc import Callable

GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS
SET_FLAGS = 0x40086602
GET_EXTENDED = 0x801C581F  # FS_IOC_FSGETXATTR: struct fsxattr of 28 bytes
SET_EXTENDED = 0x401C5820
GET_FAT_ATTRIBUTES = 0x80047210
EXTENDED_BYTES = 28
PROJECT_PLACE = 3  # the fourth of its seven 32-bit fields
UNSUPPORTED = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})

# Bit of the kernel, bit in an archive.
_BITS = (
    (0x20, 0x10000),  # append only
    (0x80, 0x20000),  # noatime
    (0x4, 0x40000),  # compress
    (0x800000, 0x80000),  # no copy on write
    (0x40, 0x100000),  # nodump
    (0x10000, 0x200000),  # dirsync
    (0x10, 0x400000),  # immutable
    (0x8, 0x800000),  # sync
    (0x400, 0x1000000),  # no compress
    (0x20000000, 0x2000000),  # project inherit
)
KERNEL_MASK = sum(kernel for kernel, _ in _BITS)
_FAT_BITS = ((0x02, 0x2000), (0x04, 0x4000), (0x20, 0x8000))  # hidden, system, archive
NODUMP = 0x100000
# Flags that change how data is stored: set before it is written. The others could forbid the writing: set last.
EARLY = 0x20000 | 0x40000 | 0x80000 | 0x1000000 | 0x2000000
LATE = 0x10000 | 0x200000 | 0x400000 | 0x800000
LOCKING = 0x10000 | 0x400000  # append only, immutable: these forbid even another name


def new_buffer() -> array.array[int]:
    """What the kernel fills: of the flags the first number, whatever the request code says; of `GET_EXTENDED` all seven."""
    return array.array("I", bytes(EXTENDED_BYTES))


class FlagReader:
    """Reads flags of files. One thread."""

    def __init__(self) -> None:
        self._buffer = new_buffer()

    def flags(self, file: int) -> int:
        """The flags of an open file or directory as an archive keeps them. Raises OSError, see `UNSUPPORTED`."""
        fcntl.ioctl(file, GET_FLAGS, self._buffer)
        found = self._buffer[0] & KERNEL_MASK
        return to_archive(found) if found else 0

    def fat_flags(self, file: int) -> int:
        """The attributes of a file on FAT as an archive keeps them. Raises OSError."""
        fcntl.ioctl(file, GET_FAT_ATTRIBUTES, self._buffer)
        return sum(kept for fat, kept in _FAT_BITS if self._buffer[0] & fat)

    def project(self, file: int) -> int:
        """The quota project id. Raises OSError."""
        fcntl.ioctl(file, GET_EXTENDED, self._buffer)
        return self._buffer[PROJECT_PLACE]


def to_archive(kernel: int) -> int:
    """Flags of the kernel as flags of an archive."""
    return sum(kept for bit, kept in _BITS if kernel & bit)


def to_kernel(flags: int) -> int:
    """Flags of an archive as flags of the kernel."""
    return sum(bit for bit, kept in _BITS if flags & kept)


def add_flags(file: int, flags: int) -> None:
    """Set flags of an archive beside those that are set. Raises OSError."""
    _change_flags(file, lambda found: found | to_kernel(flags))


def remove_flags(file: int, flags: int) -> None:
    """Take flags of an archive away. Raises OSError."""
    _change_flags(file, lambda found: found & ~to_kernel(flags))


def _change_flags(file: int, change: Callable[[int], int]) -> None:
    buffer = new_buffer()
    fcntl.ioctl(file, GET_FLAGS, buffer)
    wanted = change(buffer[0])
    if wanted != buffer[0]:
        fcntl.ioctl(file, SET_FLAGS, struct.pack("=Q", wanted))


def set_project(file: int, project: int) -> None:
    """Set the quota project id. Raises OSError."""
    fields = new_buffer()
    fcntl.ioctl(file, GET_EXTENDED, fields)
    fields[PROJECT_PLACE] = project
    fcntl.ioctl(file, SET_EXTENDED, fields.tobytes())
