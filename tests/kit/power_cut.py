"""What a power cut leaves of a directory: a model of a file system that keeps no more than was asked of it.

Follows the functions of `os` through which this project changes files. Two extremes are shown, between which real file systems lie: every
change of a directory is kept (`NAMES_FIRST`), or a directory is kept as it was when it was synced last (`SYNCED_ONLY`). Of file content
that was not synced, nothing may be left, or a part, or zeros.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from platevault.store.filesystem import datastore, layout


class Keeps(Enum):
    """Which names a power cut leaves."""

    NAMES_FIRST = "names first"
    SYNCED_ONLY = "synced only"


class Torn(Enum):
    """What becomes of content that was not synced."""

    EMPTY = "empty"
    PART = "a part"
    ZEROS = "zeros"

    def left(self, file: File) -> bytes:
        if file.now == file.safe or self is Torn.EMPTY:
            return file.safe
        return file.now[: len(file.now) // 2] if self is Torn.PART else bytes(len(file.now))


@dataclass(eq=False)
class File:
    """Content now, and content that is surely on the disk."""

    now: bytes = b""
    safe: bytes = b""

    def sync(self) -> None:
        self.safe = self.now


@dataclass(eq=False)
class Folder:
    """Entries now, and entries that are surely on the disk."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    safe: dict[str, File | Folder] = field(default_factory=dict)

    def sync(self) -> None:
        self.safe = dict(self.now)

    def everything(self) -> Iterator[File | Folder]:
        yield self
        for entry in list(self.now.values()):
            if isinstance(entry, Folder):
                yield from entry.everything()
            else:
                yield entry


class Disk:
    """Follows the changes below one directory, which is taken to be on the disk as it is now. `changed` is called after each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, top: Path) -> None:
        self._top = top
        self._root = _read(top)
        for node in self._root.everything():
            node.sync()
        self.changed: Callable[[], None] = lambda: None
        self._patch(monkeypatch)

    def _patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("mkdir", "unlink", "rmdir", "rename", "link", "open", "pwrite", "ftruncate", "fsync"):
            follow = getattr(self, f"_{name}", self._written)
            monkeypatch.setattr(os, name, self._following(getattr(os, name), follow))
        for module in (layout, datastore):
            monkeypatch.setattr(module, "syncfs", self._syncfs)

    def _following(self, real: Callable[..., Any], follow: Callable[..., bool]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            result = real(*args, **options)
            if follow(*args, **options):
                self.changed()
            return result

        return called

    def leave(self, keeps: Keeps, torn: Torn, target: Path) -> None:
        """Write what a power cut at this moment leaves to a new directory."""
        _write(self._root, keeps, torn, target)

    def _place(self, path: str, dir_fd: int | None) -> tuple[Folder, str] | None:
        """The folder and name that a path means; None outside of the directory that is followed."""
        full = Path(_path_of(dir_fd) if dir_fd is not None else ".", path).absolute()
        if not full.is_relative_to(self._top) or full == self._top:
            return None
        return self._folder(full.parent), full.name

    def _folder(self, path: Path) -> Folder:
        found: File | Folder = self._root
        for part in path.relative_to(self._top).parts:
            assert isinstance(found, Folder)
            found = found.now[part]
        assert isinstance(found, Folder)
        return found

    # what the functions do
    def _mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> bool:
        return self._add(Folder(), path, dir_fd)

    def _open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> bool:
        place = self._place(path, dir_fd) if flags & os.O_CREAT else None
        return place is not None and place[1] not in place[0].now and self._add(File(), path, dir_fd)

    def _add(self, node: File | Folder, path: str, dir_fd: int | None) -> bool:
        place = self._place(path, dir_fd)
        if place is not None:
            place[0].now[place[1]] = node
        return place is not None

    def _unlink(self, path: str, *, dir_fd: int | None = None) -> bool:
        place = self._place(path, dir_fd)
        return place is not None and place[0].now.pop(place[1], None) is not None

    _rmdir = _unlink

    def _rename(self, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> bool:
        return self._link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd) and self._unlink(source, dir_fd=src_dir_fd)

    def _link(self, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **_: object) -> bool:
        old, new = self._place(source, src_dir_fd), self._place(target, dst_dir_fd)
        if old is None or new is None:
            return False
        new[0].now[new[1]] = old[0].now[old[1]]
        return True

    def _written(self, descriptor: int, *_: object) -> bool:
        """Content changes no name and is on the disk only when synced: nothing that a power cut could show."""
        place = self._place(_path_of(descriptor), None)
        if place is not None:
            file = place[0].now[place[1]]
            assert isinstance(file, File)
            file.now = _content(descriptor)
        return False

    def _fsync(self, descriptor: int) -> bool:
        path = Path(_path_of(descriptor))
        if not path.is_relative_to(self._top):
            return False
        node = self._folder(path) if stat.S_ISDIR(os.fstat(descriptor).st_mode) else self._folder(path.parent).now[path.name]
        node.sync()
        return True

    def _syncfs(self, descriptor: int) -> None:
        if Path(_path_of(descriptor)).is_relative_to(self._top):  # what is left of the disk is another disk
            for node in self._root.everything():
                node.sync()
            self.changed()


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _read(path: Path) -> Folder:
    return Folder({entry.name: _read(entry) if entry.is_dir() else File(entry.read_bytes()) for entry in path.iterdir()})


def _write(folder: Folder, keeps: Keeps, torn: Torn, target: Path) -> None:
    Path.mkdir(target, parents=True)
    for name, node in (folder.now if keeps is Keeps.NAMES_FIRST else folder.safe).items():
        if isinstance(node, Folder):
            _write(node, keeps, torn, target / name)
        else:
            (target / name).write_bytes(torn.left(node))
