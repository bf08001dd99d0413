"""A file system that fails on command: the n-th change fails, or the process seems to die there.

Patches the functions through which this project changes files. Both ways are run for n = 1, 2, … until a scenario gets
through, so every step fails once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from platevault.store.filesystem.touch import touch

CHANGES = ("mkdir", "rmdir", "rename", "link", "unlink", "pwrite", "ftruncate", "fsync", "utime", "fchmod")


class Died(BaseException):
    """The process is gone: nothing that it still does reaches the disk."""


class Faults:
    """Counts changes and lets one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail_at = 0
        self.dies = False
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name)))
        monkeypatch.setattr(os, "open", self._wrap_open(os.open))
        monkeypatch.setattr("platevault.store.filesystem.chunk_files.touch", self._wrap(touch))

    def arm(self, step: int, *, dies: bool) -> None:
        """Fail at the `step`-th change from now on; 0: never. dies: that one and all after it raise Died."""
        self.count, self.fail_at, self.dies = 0, step, dies

    @property
    def spent(self) -> bool:
        return 0 < self.fail_at <= self.count

    def _step(self) -> None:
        self.count += 1
        if self.dies and self.spent:
            raise Died
        if self.count == self.fail_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **options: Any) -> Any:
            self._step()
            return real(*args, **options)

        return changed

    def _wrap_open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, flags: int, *args: Any, **options: Any) -> Any:
            if flags & os.O_CREAT:
                self._step()
            return real(path, flags, *args, **options)

        return changed
