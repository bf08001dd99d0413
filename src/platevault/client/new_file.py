"""A restored file that gets its name when it is complete, so that what a failed restore leaves behind never looks whole.

The content grows under another name in the same directory. Without `overwrite` the name is given by a hard link, which never replaces
anything; with it by a rename, so that the old file is there until the new one is. Devices and pipes are written in place, they have no
content to lose. Not synced to disk: after a power cut the snapshot is still there, and waiting would double the time of a large restore.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from platevault.errors import Conflict, Unavailable

NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
PIPES = (stat.S_ISCHR, stat.S_ISFIFO)


class CannotWrite(Unavailable):
    """The target of a restore cannot be written. Fact `path`."""


class NewFile:
    """A file on its way. Use as a context manager: leaving it without `commit` removes what was written."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """overwrite: a file that exists is replaced at the end; a symbolic link is followed. Raises Conflict, CannotWrite."""
        self._path, self._overwrite = (path.resolve() if overwrite else path), overwrite
        if path.is_dir():
            raise Conflict(f"{path} is a directory: give the name of a file", path=path)
        if os.path.lexists(path) and not overwrite:
            raise exists(path)
        self._part = self._path.with_name(f".platevault-{secrets.token_hex(6)}.part")
        try:
            self.descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotWrite(f"cannot write {path}: {error.strerror}", path=path) from error

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
        with contextlib.suppress(OSError):  # gone after a commit
            self._part.unlink()

    def commit(self) -> None:
        """The content is complete: give the file its name. Raises Conflict when somebody else made such a file meanwhile."""
        try:
            if self._overwrite:
                self._take_over_owner_and_mode()
                os.rename(self._part, self._path)
            else:
                self._rename_to_nothing()
        except FileExistsError as error:
            raise exists(self._path) from error
        except OSError as error:
            raise CannotWrite(f"cannot write {self._path}: {error.strerror}", path=self._path) from error

    def _rename_to_nothing(self) -> None:
        try:
            os.link(self._part, self._path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if os.path.lexists(self._path):
                raise FileExistsError from error
            os.rename(self._part, self._path)

    def _take_over_owner_and_mode(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            old = self._path.stat()
            with contextlib.suppress(PermissionError):  # only root may give files away
                os.fchown(self.descriptor, old.st_uid, old.st_gid)
            os.fchmod(self.descriptor, stat.S_IMODE(old.st_mode))


def exists(path: Path) -> Conflict:
    """The error for a target that is there."""
    return Conflict(f"{path} exists: give another target, or --overwrite", path=path)


def is_pipe(path: Path) -> bool:
    """Whether a path is a pipe or a character device, which takes bytes in order and is never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return any(kind(mode) for kind in PIPES)


@contextmanager
def open_target(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A stream into a new file that has its name only after an orderly end, or into a pipe. Raises Conflict, CannotWrite."""
    try:
        if is_pipe(path):
            with path.open("wb") as pipe:
                yield pipe
            return
        with NewFile(path, overwrite=overwrite) as file:
            with os.fdopen(file.descriptor, "wb", closefd=False) as out:
                yield out
            file.commit()
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}", path=path) from error
