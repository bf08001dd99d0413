"""Make entries in an open directory of the target, never through a symbolic link and never over what is there, unless that was asked for.

The archive may be hostile, and so may be other users of a directory that was there before. Hence: names are single components (the decoder
sees to that), everything is made relative to an open directory, with O_EXCL and O_NOFOLLOW, and what is replaced is unlinked first.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from platevault.client.new_file import CannotWrite
from platevault.client.tree.folder_stack import DIRECTORY_FLAGS
from platevault.client.tree.inode_flags import LOCKING, FlagReader, add_flags, remove_flags
from platevault.client.tree.tree_log import shown
from platevault.errors import Conflict
from platevault.formats.pxar.items import is_name

T = TypeVar("T")
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
# The target as a whole cannot take more: going on would only repeat it.
FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


def fatal(path: bytes, error: OSError) -> CannotWrite | None:
    """The error that ends the restore, if this one does."""
    if error.errno not in FATAL:
        return None
    return CannotWrite(f"cannot write {shown(path)}: {error.strerror}", path=path)


class Target:
    """How entries are made. overwrite: what exists and is no directory is replaced. reuse: directories may exist."""

    def __init__(self, *, overwrite: bool, reuse: bool) -> None:
        self._overwrite, self._reuse = overwrite, reuse

    def create_file(self, directory: int, name: bytes, path: bytes) -> int:
        """A new empty file, open for writing, for its owner only. Raises Conflict, OSError."""
        try:
            return os.open(name, CREATE_FLAGS, 0o600, dir_fd=directory)
        except FileExistsError:
            return self._make(directory, name, path, lambda: os.open(name, CREATE_FLAGS, 0o600, dir_fd=directory))

    def create_symlink(self, directory: int, name: bytes, path: bytes, target: bytes) -> None:
        """Raises Conflict, OSError."""
        self._make(directory, name, path, lambda: os.symlink(target, name, dir_fd=directory))

    def create_node(self, directory: int, name: bytes, path: bytes, mode: int, device: tuple[int, int]) -> None:
        """A device, fifo or socket, for its owner only. Raises Conflict, OSError."""
        number = os.makedev(*device)
        self._make(directory, name, path, lambda: os.mknod(name, stat.S_IFMT(mode) | 0o600, number, dir_fd=directory))

    def create_link(self, root: int, directory: int, name: bytes, path: bytes, first: bytes) -> None:
        """Another name for the regular file at `first` below `root`. Raises Conflict, OSError."""
        folder, base = _open_folder(root, first)

        def link() -> None:
            os.link(base, name, src_dir_fd=folder, dst_dir_fd=directory, follow_symlinks=False)

        try:
            if not stat.S_ISREG(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode):
                raise OSError(errno.EINVAL, f"{shown(first)} is no regular file")
            try:
                self._make(directory, name, path, link)
            except PermissionError:
                with _unlocked(folder, base):
                    self._make(directory, name, path, link)
        finally:
            os.close(folder)

    def create_directory(self, directory: int, name: bytes, path: bytes) -> tuple[int, bool]:
        """A directory for its owner only, open, and whether it is new. Raises Conflict, OSError."""
        new = True
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError as error:
            new = False
            if not self._reuse:
                raise Conflict(f"{shown(path)} exists: restore elsewhere, or use --allow-existing-dirs", path=path) from error
        try:
            return os.open(name, DIRECTORY_FLAGS, dir_fd=directory), new
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Conflict(f"{shown(path)} exists and is no directory", path=path) from error
            raise

    def _make(self, directory: int, name: bytes, path: bytes, action: Callable[[], T]) -> T:
        try:
            return action()
        except FileExistsError as error:
            if not self._overwrite:
                raise Conflict(f"{shown(path)} exists: restore elsewhere, or use --overwrite", path=path) from error
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError as error:
            raise Conflict(f"{shown(path)} exists and is a directory; it is not replaced", path=path) from error
        return action()


@contextmanager
def _unlocked(folder: int, name: bytes) -> Iterator[None]:
    """Let a file that was restored as immutable or append-only get another name. Raises OSError."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        locked = FlagReader().flags(file) & LOCKING
        remove_flags(file, locked)
        try:
            yield
        finally:
            add_flags(file, locked)
    finally:
        os.close(file)


def _open_folder(root: int, path: bytes) -> tuple[int, bytes]:
    """The directory of `path` below `root`, opened component by component without following links, and the last component."""
    *folders, base = path.split(b"/")
    if not all(is_name(part) for part in (*folders, base)):
        raise OSError(errno.EINVAL, "a path that leads out of the archive")
    current = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        for folder in folders:
            below = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = below
    except OSError:
        os.close(current)
        raise
    return current, base
