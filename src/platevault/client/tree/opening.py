"""Open what is to be archived: never through a symbolic link, never waiting, without a trace in access times where that is allowed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from platevault.client.image_source import UnreadableSource
from platevault.errors import Invalid, NotFound

FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_root(root: Path) -> int:
    """The root of the tree, which may be named by a symbolic link. Raises NotFound, Invalid, UnreadableSource."""
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"{root} does not exist", path=root) from error
    except NotADirectoryError as error:
        raise Invalid(f"{root} is no directory: back up a file as an image (.img) or a blob (.conf)", path=root) from error
    except OSError as error:
        raise UnreadableSource(f"cannot open {root}: {error.strerror}", path=root) from error


def open_entry(name: bytes, flags: int, directory: int) -> int:
    """Open an entry of an open directory. Raises OSError."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=directory)
    except OSError as error:
        return open_otherwise(name, flags, directory, error)


def open_otherwise(name: bytes, flags: int, directory: int, error: OSError) -> int:
    """Open it after a first refusal, if there is another way. Raises OSError."""
    if error.errno == errno.EPERM:
        return os.open(name, flags, dir_fd=directory)  # only the owner may ask for O_NOATIME
    if error.errno == errno.EAGAIN:
        # Somebody holds a lease on the file, e.g. Samba: wait until it is given back. Only regular files have leases.
        return os.open(name, flags & ~os.O_NONBLOCK, dir_fd=directory)
    raise error
