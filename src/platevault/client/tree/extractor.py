"""Make a tree on disk from the entries of a pxar archive.

Source: spec formats §8.2, §8.3, §8.5. Directories get their owner, mode and times when their content is complete, so that nobody else can
reach into a tree that is being restored, and their times stay. Memory: names of the open directories, 8 bytes a regular file.
"""

from __future__ import annotations

import errno
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from platevault.client.new_file import CannotWrite
from platevault.client.tree.acl import DEFAULT_XATTR
from platevault.client.tree.folder_stack import FolderStack
from platevault.client.tree.restore_target import Target, fatal
from platevault.client.tree.restored_attributes import AttributeWriter
from platevault.client.tree.selection import Selection
from platevault.client.tree.sparse import SPARSE_FROM_BYTES, write_all, write_with_holes
from platevault.client.tree.tree_log import TreeLog, shown
from platevault.errors import Conflict
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.entry import Entry, Kind
from platevault.formats.pxar.in_stream import Read
from platevault.formats.pxar.items import CorruptArchive

OpenAt = Callable[[int], Read]
Payload = Callable[[int, int], Iterator[memoryview]]


def open_target(path: Path) -> int:
    """The directory to restore into, open; made when it is not there. Raises Conflict when it is something else, CannotWrite."""
    try:
        path.mkdir(0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as error:
        raise Conflict(f"{path} is no directory", path=path) from error
    except OSError as error:
        raise CannotWrite(f"cannot use {path}: {error.strerror}", path=path) from error


class _Level:
    """A directory of the archive. `is_open`: it is made, and on the stack. `is_lost`: it could not be made, nor what is in it."""

    __slots__ = ("chosen", "entry", "is_lost", "is_new", "is_open", "path", "prefix")

    def __init__(self, entry: Entry, path: bytes, *, chosen: bool) -> None:
        self.entry, self.path, self.prefix = entry, path, path + b"/" if path else b""
        self.chosen = chosen
        self.is_open = self.is_lost = self.is_new = False


class Extractor:
    """One restore. `again` reads the archive from a place, for a hard link whose first name is not restored. `payload`: the content of a
    file of a split archive, by offset and size."""

    def __init__(self, target: Target, selection: Selection, log: TreeLog, again: OpenAt, payload: Payload | None = None) -> None:
        self._target, self._selection, self._log, self._again, self._payload = target, selection, log, again, payload
        self._attributes = AttributeWriter(log)
        self._levels: list[_Level] = []
        self._files = array("Q")  # where the regular files begin that were restored; ascending, since archives are
        self._stand_ins: dict[int, bytes] = {}  # files restored under another name than their first, by offset

    def run(self, archive: Decoder, root: int) -> None:
        """Restore what is chosen into the open directory `root`, which belongs to the extractor from now on.

        Raises CorruptArchive, Conflict, CannotWrite; then the target is incomplete. What fails for one entry only goes to the log.
        """
        self._stack = FolderStack(root)
        try:
            for entry in archive:
                if entry.kind is Kind.FILE:
                    self._file(entry, archive)
                elif entry.kind is Kind.DIRECTORY:
                    self._enter(entry)
                elif entry.kind is Kind.END:
                    self._leave()
                else:
                    self._other(entry)
        finally:
            self._stack.close()

    def _enter(self, entry: Entry) -> None:
        if not self._levels:
            level = _Level(entry, b"", chosen=self._selection.all)
            level.is_open = True
            self._watch_inheritance(self._stack.root)
        else:
            parent = self._levels[-1]
            path = parent.prefix + entry.name
            level = _Level(entry, path, chosen=self._chosen(parent, path, directory=True))
            level.is_lost = parent.is_lost
        self._levels.append(level)
        if level.chosen and not level.is_open:
            self._open_levels()

    def _chosen(self, parent: _Level, path: bytes, *, directory: bool) -> bool:
        return self._selection.all or self._selection.chooses(path, directory=directory, parent=parent.chosen)

    def _open_levels(self) -> bool:
        """Make the directories down to the lowest level. False when one of them cannot be made, which is then in the log."""
        for level in self._levels[len(self._stack) :]:
            if level.is_lost or not self._make_directory(level):
                level.is_lost = True
                return False
        return True

    def _make_directory(self, level: _Level) -> bool:
        try:
            directory, level.is_new = self._target.create_directory(self._stack.top, level.entry.name, level.path)
        except OSError as error:
            self._failed(level.path, error)
            return False
        if level.is_new:
            self._attributes.prepare(directory, level.entry, level.path)
        else:
            self._watch_inheritance(directory)
        self._stack.push(directory)
        level.is_open = True
        return True

    def _leave(self) -> None:
        level = self._levels.pop()
        if not level.is_open:
            return
        if level.chosen or level.is_new:
            self._attributes.finish(self._stack.top, level.entry, level.path)
        try:
            self._stack.pop()
        except OSError as error:
            raise CannotWrite(f"cannot go on above {shown(level.path)}: {error.strerror}", path=level.path) from error

    def _file(self, entry: Entry, archive: Decoder) -> None:
        parent = self._levels[-1]
        path = parent.prefix + entry.name
        if not self._chosen(parent, path, directory=False) or not (parent.is_open or self._open_levels()):
            return
        if self._write(entry, archive, path):
            self._files.append(entry.offset)

    def _write(self, entry: Entry, archive: Decoder, path: bytes) -> bool:
        try:
            file = self._target.create_file(self._stack.top, entry.name, path)
        except OSError as error:
            self._failed(path, error)
            return False
        try:
            if entry.stat.flags:
                self._attributes.prepare(file, entry, path)
            self._content(file, entry, archive)
            self._attributes.finish(file, entry, path)
        except OSError as error:
            self._failed(path, error)
        finally:
            os.close(file)
        return True

    def _content(self, file: int, entry: Entry, archive: Decoder) -> None:
        offset, with_holes = 0, entry.size >= SPARSE_FROM_BYTES
        for piece in archive.content() if entry.payload_offset is None else self._elsewhere(entry.payload_offset, entry.size):
            (write_with_holes if with_holes else write_all)(file, piece, offset)
            offset += len(piece)
        if with_holes:
            os.ftruncate(file, entry.size)

    def _elsewhere(self, offset: int, size: int) -> Iterator[memoryview]:
        if self._payload is None:
            raise CorruptArchive("pxar: the content of a file is in another stream, and there is none", offset=offset)
        return self._payload(offset, size)

    def _other(self, entry: Entry) -> None:
        parent = self._levels[-1]
        path = parent.prefix + entry.name
        if not self._chosen(parent, path, directory=False) or not (parent.is_open or self._open_levels()):
            return
        try:
            if entry.kind is Kind.HARDLINK:
                self._link(entry, path)
            elif entry.kind is Kind.SYMLINK:
                self._target.create_symlink(self._stack.top, entry.name, path, entry.target)
                self._attributes.finish_link(self._stack.top, entry, path)
            else:
                self._target.create_node(self._stack.top, entry.name, path, entry.stat.mode, entry.device)
                self._attributes.finish_node(self._stack.top, entry, path)
        except (OSError, OverflowError, ValueError) as error:
            self._failed(path, error)

    def _link(self, entry: Entry, path: bytes) -> None:
        """Another name of a file: of the first, of one that stands in for it, or else the file itself under this name."""
        place = bisect_left(self._files, entry.first_offset)
        if place < len(self._files) and self._files[place] == entry.first_offset:
            first = entry.target
        elif entry.first_offset in self._stand_ins:
            first = self._stand_ins[entry.first_offset]
        else:
            self._stand_in(entry, path)
            return
        self._target.create_link(self._stack.root, self._stack.top, entry.name, path, first)

    def _stand_in(self, entry: Entry, path: bytes) -> None:
        archive = Decoder.of_entry(self._again(entry.first_offset), entry.first_offset)
        found = archive.next()
        if found is None or found.kind is not Kind.FILE:
            raise OSError(errno.EINVAL, "its other name is no file of the archive")
        found.name = entry.name
        if self._write(found, archive, path):
            self._stand_ins[entry.first_offset] = path

    def _watch_inheritance(self, directory: int) -> None:
        """Entries made in a directory that was there before get its default ACL, which is not theirs."""
        try:
            self._attributes.inherits = self._attributes.inherits or DEFAULT_XATTR in os.listxattr(directory)
        except OSError:
            return  # no extended attributes, no ACL

    def _failed(self, path: bytes, error: Exception) -> None:
        if isinstance(error, OSError):
            ending = fatal(path, error)
            if ending is not None:
                raise ending from error
        self._log.skip(path, f"cannot be restored: {error.strerror if isinstance(error, OSError) else error}")
