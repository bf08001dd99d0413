"""What kind of file system a directory is on: whether a backup may enter it, and what can be asked about its files.

Source: spec formats §8.3, §8.10; statfs(2), linux/magic.h. The standard library has no `f_type`, so the C library is asked, once a device.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
STATFS_BYTES = 256  # the largest struct statfs has 120
FAT, EXT4, XFS, FUSE, ZFS = 0x4D44, 0xEF53, 0x58465342, 0x65735546, 0x2FC12FC1
WITH_PROJECTS = frozenset({EXT4, XFS, FUSE, ZFS})
# Made up by the kernel while they are read: nothing in them can be restored.
VIRTUAL = frozenset(
    {
        0x187,  # autofs
        0x1CD1,  # devpts
        0x9FA0,  # proc
        0x19800202,  # mqueue
        0x42494E4D,  # binfmt_misc
        0x43415D53,  # smackfs
        0x50495045,  # pipefs
        0x534F434B,  # sockfs
        0x6165676C,  # pstore
        0x62656570,  # configfs
        0x62656572,  # sysfs
        0x63677270,  # cgroup 2
        0x64626720,  # debugfs
        0x65735543,  # fusectl
        0x67596969,  # rpc_pipefs
        0x6E736673,  # nsfs
        0x73636673,  # securityfs
        0x74726163,  # tracefs
        0x27E0EB,  # cgroup
        0xCAFE4A11,  # bpf
        0xDE5E81E4,  # efivarfs
        0xF97CFF8C,  # selinuxfs
    }
)


class FileSystem:
    """One device. The `with_` marks say what is still worth asking; the first refusal takes one away, for files or for directories."""

    __slots__ = ("is_virtual", "with_directory_flags", "with_fat_flags", "with_file_flags", "with_projects", "with_xattrs")

    def __init__(self, magic: int) -> None:
        self.is_virtual = magic in VIRTUAL
        self.with_fat_flags = magic in (FAT, FUSE)
        self.with_projects = magic in WITH_PROJECTS
        self.with_file_flags = self.with_directory_flags = self.with_xattrs = True


def magic_of(file: int) -> int:
    """The type of the file system of an open file, 0 when it cannot be told."""
    function = getattr(_LIBC, "fstatfs", None)
    if function is None or sys.platform != "linux":
        return 0
    buffer = ctypes.create_string_buffer(STATFS_BYTES)
    while function(file, buffer) != 0:
        if ctypes.get_errno() != errno.EINTR:
            return 0
    return int.from_bytes(buffer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


class FileSystems:
    """The file systems met so far, and which of them may be entered."""

    def __init__(self, root: int, *, include: tuple[str, ...], everything: bool) -> None:
        """root: the open root directory. include: paths whose file systems are entered as well. Raises OSError when one is not there."""
        self._known: dict[int, FileSystem] = {}
        self._allowed: frozenset[int] | None = None
        if not everything:
            self._allowed = frozenset({os.fstat(root).st_dev, *(os.stat(path).st_dev for path in include)})

    def of(self, device: int, file: int) -> FileSystem:
        """The file system of an open file whose `st_dev` is `device`."""
        found = self._known.get(device)
        if found is None:
            found = self._known[device] = FileSystem(magic_of(file))
        return found

    def may_enter(self, device: int, directory: int) -> bool:
        """Whether a backup goes on below an open directory."""
        return (self._allowed is None or device in self._allowed) and not self.of(device, directory).is_virtual
