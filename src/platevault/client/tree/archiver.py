"""Walk through a directory and write it as a pxar archive, its names into the catalog.

Source: spec formats §8.2 - §8.5, §8.9, §8.10; byte-identical to archives of proxmox-backup-client 4.2.3 for the same tree. Every entry is
opened by its name in an open directory, without following symbolic links, and everything about it is asked of the open file, so that a
tree that changes meanwhile leads nowhere else. Memory: the names of the directories that are open, 200 bytes for a file with several names.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from stat import S_IFREG

from platevault.client.image_source import UnreadableSource
from platevault.client.tree.attributes import AttributeReader
from platevault.client.tree.content import PIECE_BYTES, ContentReader, read_small
from platevault.client.tree.excludes import CLI_EXCLUDES, parse_excludes
from platevault.client.tree.file_systems import FileSystem, FileSystems
from platevault.client.tree.folder import Folder, list_folder
from platevault.client.tree.folder_stack import DIRECTORY_FLAGS, FolderStack
from platevault.client.tree.listing import DIRECTORY, FILE
from platevault.client.tree.opening import FILE_FLAGS, open_entry, open_otherwise, open_root
from platevault.client.tree.options import DEFAULT_MAX_ENTRIES, TreeOptions
from platevault.client.tree.tree_log import TreeLog, shown
from platevault.errors import Invalid, NotFound
from platevault.formats.catalog import CatalogWriter, EntryKind
from platevault.formats.pxar.decoder import MAX_DEPTH
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.items import MAX_NAME_BYTES
from platevault.formats.pxar.metadata import Stat
from platevault.formats.pxar.patterns import PatternList

SECOND_NS = 1_000_000_000
S_IFMT = 0o170000  # the type bits of a mode
CLI_EXCLUDES_MODE = 0o100600
_SPECIAL = {
    stat.S_IFIFO: EntryKind.FIFO,
    stat.S_IFSOCK: EntryKind.SOCKET,
    stat.S_IFCHR: EntryKind.CHARACTER,
    stat.S_IFBLK: EntryKind.BLOCK,
}


def archive_tree(root: Path, encoder: Encoder, catalog: CatalogWriter, options: TreeOptions, log: TreeLog) -> None:
    """Write the directory `root` with everything in it, except for `Encoder.finish`. catalog: entered at the archive's own directory.

    An entry that cannot be read goes to the log, and the rest is still written.
    Raises NotFound, UnreadableSource or Invalid for the root, Invalid for a bad pattern or too many entries, and what the sinks raise.
    """
    excludes = parse_excludes(options.excludes, log)
    stack = FolderStack(open_root(root))
    try:
        _Walk(stack, _file_systems(stack.root, options), encoder, catalog, excludes, options, log).run(root)
    finally:
        stack.close()


def _file_systems(root: int, options: TreeOptions) -> FileSystems:
    try:
        return FileSystems(root, include=options.include_dev, everything=options.all_file_systems)
    except OSError as error:
        raise NotFound(f"cannot include the file system of {error.filename}: {error.strerror}", path=error.filename) from error


class _Walk:
    """One walk. The stack of descriptors and the list of folders have the same depth."""

    def __init__(
        self,
        stack: FolderStack,
        systems: FileSystems,
        encoder: Encoder,
        catalog: CatalogWriter,
        excludes: PatternList,
        options: TreeOptions,
        log: TreeLog,
    ) -> None:
        self._stack, self._systems, self._encoder, self._catalog, self._log = stack, systems, encoder, catalog, log
        self._excludes = excludes
        self._attributes, self._content = AttributeReader(log), ContentReader(log)
        self._room = options.entries_max or DEFAULT_MAX_ENTRIES
        self._folders: list[Folder] = []
        self._device, self._system = -1, FileSystem(0)  # of the last file: that of the next one, nearly always
        self._links: dict[tuple[int, int], tuple[int, bytes]] = {}  # of files with several names: offset and path of the first

    def run(self, root: Path) -> None:
        """Everything from the root's ENTRY to its goodbye table."""
        state = os.fstat(self._stack.root)
        if self._systems.of(state.st_dev, self._stack.root).is_virtual:
            raise Invalid(f"{root} is a virtual file system: there is nothing in it that could be restored", path=root)
        self._encoder.start_root(*self._described(self._stack.root, state, b"", directory=True))
        self._folders.append(self._open_folder(b"", self._excludes))
        while self._folders:
            self._go_on(self._folders[-1])

    def _go_on(self, folder: Folder) -> None:
        """The entries of a folder up to the next directory, or to the end."""
        for name, kind in folder.names:
            if kind == FILE:
                self._file(folder, name)
            elif kind == DIRECTORY:
                if self._enter(folder, name):
                    return
            elif self._other(folder, name):
                return
        self._leave()

    def _open_folder(self, path: bytes, patterns: PatternList) -> Folder:
        """The directory on top of the stack. Raises Invalid when too many entries are open."""
        folder = list_folder(self._stack.top, path, patterns, self._log)
        self._room -= folder.count
        if self._room < 0:
            raise Invalid(f"too many entries in {shown(path)} and the directories above it: raise the limit with --entries-max")
        return folder

    def _leave(self) -> None:
        folder = self._folders.pop()
        self._room += folder.count
        if not self._folders:
            self._add_cli_excludes()
        self._encoder.end_directory()
        if self._folders:
            self._catalog.end_directory()
        try:
            self._stack.pop()
        except OSError as error:
            raise UnreadableSource(f"cannot go on above {shown(folder.path)}: {error.strerror}", path=folder.path) from error

    def _add_cli_excludes(self) -> None:
        if self._excludes:
            lines = self._excludes.lines()
            self._encoder.add_file(CLI_EXCLUDES, Stat(CLI_EXCLUDES_MODE, 0, os.getuid(), os.getgid()), b"", lines)
            self._catalog.add_file(CLI_EXCLUDES, len(lines), 0)

    def _enter(self, folder: Folder, name: bytes) -> bool:
        """Begin a directory. False when it was skipped, or is complete because it is another file system's."""
        path = folder.prefix + name
        if len(self._folders) == MAX_DEPTH:
            self._log.skip(path, f"more than {MAX_DEPTH} directories are nested")
            return False
        try:
            directory = open_entry(name, DIRECTORY_FLAGS, self._stack.top)
        except OSError as error:
            self._not_opened(path, error)
            return False
        state = os.fstat(directory)
        self._encoder.start_directory(name, *self._described(directory, state, path, directory=True))
        self._catalog.start_directory(name)
        if not self._systems.may_enter(state.st_dev, directory):
            os.close(directory)
            self._encoder.end_directory()
            self._catalog.end_directory()
            return False
        self._stack.push(directory, state)
        self._folders.append(self._open_folder(path, folder.patterns))
        return True

    def _file(self, folder: Folder, name: bytes) -> None:
        """A regular file. Most of a backup's own time is spent here, hence the steps that are written out."""
        try:
            file = os.open(name, FILE_FLAGS | os.O_NOATIME, dir_fd=self._stack.top)
        except OSError as error:
            try:
                file = open_otherwise(name, FILE_FLAGS, self._stack.top, error)
            except OSError as last:
                self._not_opened(folder.prefix + name, last)
                return
        try:
            state = os.fstat(file)
            size = state.st_size
            path = folder.prefix + name
            if state.st_nlink != 1 or size > PIECE_BYTES or state.st_dev != self._device or state.st_mode & S_IFMT != S_IFREG:
                self._unusual(path, name, file, state)
                return
            data = os.read(file, size) if size else b""
            if len(data) < size:
                data = self._read_rest(file, size, data, path)
            flags, metadata = self._attributes.read(self._system, file, path, directory=False)
            if metadata:
                self._encoder.add_file(name, _stat(state, flags), metadata, data)
            else:
                self._encoder.add_plain_file(name, state.st_mode, flags, state.st_uid, state.st_gid, state.st_mtime_ns, data)
            self._catalog.add_file(name, size, state.st_mtime_ns // SECOND_NS)
        except OSError as error:
            self._log.skip(folder.prefix + name, f"cannot be read: {error.strerror}")
        finally:
            os.close(file)

    def _unusual(self, path: bytes, name: bytes, file: int, state: os.stat_result) -> None:
        """A file that is large, has several names, is on another device than the one before, or is none. Raises OSError."""
        if not stat.S_ISREG(state.st_mode):
            self._log.skip(path, "was replaced by something else while it was read")
            return
        if state.st_dev != self._device:
            self._device, self._system = state.st_dev, self._systems.of(state.st_dev, file)
        first = self._links.get((state.st_dev, state.st_ino)) if state.st_nlink > 1 else None
        if first is not None:
            self._encoder.add_hardlink(name, *first)
            self._catalog.add(EntryKind.HARDLINK, name)
            return
        offset = self._encoder.position
        self._store(path, name, file, state)
        if state.st_nlink > 1 and len(path) <= MAX_NAME_BYTES:  # a longer path fits into no hard link
            self._links[state.st_dev, state.st_ino] = offset, path

    def _store(self, path: bytes, name: bytes, file: int, state: os.stat_result) -> None:
        """A regular file of any size. Raises OSError before anything of it is written, or not at all."""
        size = state.st_size
        if size > PIECE_BYTES:
            self._encoder.start_file(name, *self._described(file, state, path, directory=False), size)
            self._content.copy(file, state, path, self._encoder.write)
        else:
            data = self._read_rest(file, size, b"", path)
            self._encoder.add_file(name, *self._described(file, state, path, directory=False), data)
        self._catalog.add_file(name, size, state.st_mtime_ns // SECOND_NS)

    def _read_rest(self, file: int, size: int, data: bytes, path: bytes) -> bytes:
        """`size` bytes of a file that gave `data` at first. Raises OSError."""
        data += read_small(file, size - len(data))
        if len(data) < size:
            self._log.warn(path, f"became shorter while it was read: zeros from byte {len(data)} to {size}")
            data += bytes(size - len(data))
        return data

    def _other(self, folder: Folder, name: bytes) -> bool:
        """A symbolic link, device, fifo or socket, reached by its name only. True when it is a directory by now, and was entered."""
        path, directory = folder.prefix + name, self._stack.top
        try:
            state = os.stat(name, dir_fd=directory, follow_symlinks=False)
            target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(state.st_mode) else b""
        except OSError as error:
            self._not_opened(path, error)
            return False
        kind = stat.S_IFMT(state.st_mode)
        if kind == stat.S_IFDIR:
            return self._enter(folder, name)
        if kind == stat.S_IFREG:
            self._file(folder, name)
        elif kind == stat.S_IFLNK:
            self._encoder.add_symlink(name, _stat(state, 0), target)
            self._catalog.add(EntryKind.SYMLINK, name)
        elif kind in _SPECIAL:
            self._special(name, state, kind)
        else:
            self._log.skip(path, "is of a kind that no archive can hold")
        return False

    def _special(self, name: bytes, state: os.stat_result, kind: int) -> None:
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            self._encoder.add_device(name, _stat(state, 0), os.major(state.st_rdev), os.minor(state.st_rdev))
        else:
            self._encoder.add_special(name, _stat(state, 0))
        self._catalog.add(_SPECIAL[kind], name)

    def _described(self, file: int, state: os.stat_result, path: bytes, *, directory: bool) -> tuple[Stat, bytes]:
        """Stat and metadata items of an open file or directory."""
        system = self._systems.of(state.st_dev, file)
        flags, metadata = self._attributes.read(system, file, path, directory=directory)
        return _stat(state, flags), metadata

    def _not_opened(self, path: bytes, error: OSError) -> None:
        if error.errno == errno.ENOENT:
            self._log.warn(path, "vanished before it was read")
        elif error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            self._log.skip(path, "was replaced by something else while it was read")
        else:
            self._log.skip(path, f"cannot be read: {error.strerror}")


def _stat(state: os.stat_result, flags: int) -> Stat:
    return Stat(state.st_mode, flags, state.st_uid, state.st_gid, *divmod(state.st_mtime_ns, SECOND_NS))
