"""The open directories on the way from the root of a tree to where the work is.

Everything below is reached by descriptors, so that nobody can lead the work elsewhere by exchanging a directory for a symbolic link. A tree
may be deeper than there are descriptors: only the root and the lowest `MAX_OPEN` are open. Coming back up, a closed one is opened again
through `..`, and is used only when device and inode are those it had.
"""

from __future__ import annotations

import errno
import os

MAX_OPEN = 128
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CLOSED = -1


class FolderStack:
    """Descriptors by depth. `top` is the directory in which the work is, CLOSED when there is none. One thread."""

    def __init__(self, root: int) -> None:
        """root: an open directory; belongs to the stack from now on."""
        self._files: list[int] = []
        self._identities: list[tuple[int, int]] = []
        self.top = CLOSED
        self.push(root)

    @property
    def root(self) -> int:
        """The root, which is always open."""
        return self._files[0]

    def __len__(self) -> int:
        return len(self._files)

    def push(self, directory: int, state: os.stat_result | None = None) -> None:
        """Enter an open directory; it belongs to the stack from now on. state: what fstat says of it, if that was asked already."""
        found = state or os.fstat(directory)
        self._files.append(directory)
        self.top = directory
        self._identities.append((found.st_dev, found.st_ino))
        place = len(self._files) - 1 - MAX_OPEN
        if place > 0 and self._files[place] != CLOSED:
            os.close(self._files[place])
            self._files[place] = CLOSED

    def pop(self) -> None:
        """Leave the directory. Raises OSError (ESTALE) when the one above was moved or replaced meanwhile, and leaves it as well."""
        left = self._files.pop()
        self._identities.pop()
        try:
            if self._files and self._files[-1] == CLOSED:
                self._files[-1] = self._reopen(left)
        finally:
            self.top = self._files[-1] if self._files else CLOSED
            os.close(left)

    def _reopen(self, below: int) -> int:
        found = os.open("..", DIRECTORY_FLAGS, dir_fd=below)
        state = os.fstat(found)
        if (state.st_dev, state.st_ino) != self._identities[-1]:
            os.close(found)
            raise OSError(errno.ESTALE, "the directory was moved while it was in use")
        return found

    def close(self) -> None:
        """Close all. Harmless twice."""
        for file in self._files:
            if file != CLOSED:
                os.close(file)
        self._files.clear()
        self.top = CLOSED
