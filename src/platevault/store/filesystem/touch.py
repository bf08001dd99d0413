"""The sign of use that garbage collection looks at: the access time set to now, the modification time left alone.

Source: spec formats §1.4. `os.utime` cannot leave one of the two alone without a race, so utimensat(2) is called through the C library.
"""

from __future__ import annotations

import ctypes
import os
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_SYMLINK_NOFOLLOW = 0x100
_UTIME_NOW, _UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_TIMES = (_Timespec * 2)(_Timespec(0, _UTIME_NOW), _Timespec(0, _UTIME_OMIT))  # access, modification; never written to


def touch(parent: int, name: str) -> None:
    """Set the access time of a file in an open directory to now. A link is not followed. Raises OSError."""
    if not sys.platform.startswith("linux"):  # the constants are those of Linux
        os.utime(name, dir_fd=parent, follow_symlinks=False)
        return
    if _LIBC.utimensat(parent, os.fsencode(name), _TIMES, _AT_SYMLINK_NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
