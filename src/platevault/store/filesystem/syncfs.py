"""`syncfs(2)`: write back one file system. Not in the standard library, so taken from the C library."""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)


def syncfs(descriptor: int) -> None:
    """Write back everything on the file system of `descriptor`. Raises OSError, also for write errors since the last call."""
    function = getattr(_LIBC, "syncfs", None)
    if function is None:  # not Linux: sync() covers all file systems, but reports nothing
        os.sync()
        return
    if function(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
