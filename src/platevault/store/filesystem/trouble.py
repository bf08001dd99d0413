"""What the operating system said, as one of our families. The border of this room: no OSError leaves it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from platevault.errors import NotFound, Unavailable


class StorageFailed(Unavailable):
    """The file system refused: full, broken, read-only, not permitted. Facts: `path`, `errno`."""


class NotInStore(NotFound):
    """There is no such file, directory, group or chunk in the datastore. Facts: `path`."""


SYMLINK_REFUSED = (errno.ELOOP, errno.ENOTDIR)  # O_NOFOLLOW on a link; O_NOFOLLOW | O_DIRECTORY on a link or file


@contextmanager
def translated(what: str, path: str) -> Iterator[None]:
    """Raise NotInStore for a missing path and StorageFailed for everything else that the system may say."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotInStore(f"{what} '{path}': it does not exist", path=path) from error
    except OSError as error:
        raise failed(what, path, error) from error


@contextmanager
def writing(what: str, path: str) -> Iterator[None]:
    """Raise StorageFailed for everything that the system may say: where something is written, a missing directory is damage."""
    try:
        yield
    except OSError as error:
        raise failed(f"writing {what}", path, error) from error


def failed(what: str, path: str, error: OSError) -> StorageFailed:
    """The error to raise: one line with the reason in the system's own words."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in SYMLINK_REFUSED:
        reason = "symbolic links and other foreign objects in a datastore are not followed"
    return StorageFailed(f"{what} '{path}' failed: {reason}", path=path, errno=error.errno)
