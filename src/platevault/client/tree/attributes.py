"""Read what the file system keeps of a file beside content and stat: flags, extended attributes, ACLs, capabilities, quota project.

Source: spec formats §8.3, §8.4. Works on open files only, so that nobody can exchange the file in between.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from fcntl import ioctl

from platevault.client.tree.acl import ACCESS_XATTR, DEFAULT_XATTR, KernelAcl, UnknownAcl
from platevault.client.tree.file_systems import FileSystem
from platevault.client.tree.inode_flags import (
    GET_EXTENDED,
    GET_FLAGS,
    KERNEL_MASK,
    PROJECT_PLACE,
    UNSUPPORTED,
    FlagReader,
    new_buffer,
    to_archive,
)
from platevault.client.tree.tree_log import TreeLog
from platevault.errors import Invalid
from platevault.formats.pxar.items import MAX_XATTR_BYTES
from platevault.formats.pxar.metadata import Metadata, encode_metadata

CAPABILITIES = "security.capability"


def is_kept(name: str) -> bool:
    """Whether archives hold this extended attribute as such."""
    return name.startswith(("user.", "trusted.")) or name == "security.NTACL"


class AttributeReader:
    """Reads the attributes of many files. One thread: its buffer is used again, because a backup asks millions of times."""

    def __init__(self, log: TreeLog) -> None:
        self._log = log
        self._reader = FlagReader()
        self._buffer = new_buffer()

    def read(self, system: FileSystem, file: int, path: bytes, *, directory: bool) -> tuple[int, bytes]:
        """Flags as an archive keeps them, and metadata items, of an open file or directory. What cannot be read is left out."""
        flags = 0
        buffer = self._buffer
        try:
            if system.with_directory_flags if directory else system.with_file_flags:
                ioctl(file, GET_FLAGS, buffer)
                if found := buffer[0] & KERNEL_MASK:
                    flags = to_archive(found)
        except OSError as error:
            if error.errno in UNSUPPORTED and directory:
                system.with_directory_flags = False
            elif error.errno in UNSUPPORTED:
                system.with_file_flags = False
        if system.with_fat_flags:
            flags |= self._fat_flags(system, file)
        try:
            names = os.listxattr(file) if system.with_xattrs else ()
            project = 0
            if system.with_projects:
                ioctl(file, GET_EXTENDED, buffer)
                project = buffer[PROJECT_PLACE]
        except OSError:
            names, project = self._names(system, file, path), self._project(system, file)
        return flags, self._collect(names, project, file, path) if names or project else b""

    def _fat_flags(self, system: FileSystem, file: int) -> int:
        try:
            return self._reader.fat_flags(file)
        except OSError:
            system.with_fat_flags = False
            return 0

    def _names(self, system: FileSystem, file: int, path: bytes) -> list[str]:
        if not system.with_xattrs:
            return []
        try:
            return os.listxattr(file)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                system.with_xattrs = False
            else:
                self._log.warn(path, f"extended attributes cannot be read: {error.strerror}")
            return []

    def _project(self, system: FileSystem, file: int) -> int:
        if not system.with_projects:
            return 0
        try:
            return self._reader.project(file)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                system.with_projects = False
            return 0

    def _collect(self, names: Sequence[str], project: int, file: int, path: bytes) -> bytes:
        values = {name: value for name in names if (value := self._value(name, file, path)) is not None}
        access, default = self._acl(values.get(ACCESS_XATTR), path), self._acl(values.get(DEFAULT_XATTR), path)
        metadata = Metadata(
            xattrs=tuple((os.fsencode(name), value) for name, value in values.items() if is_kept(name)),
            users=access.users if access else (),
            groups=access.groups if access else (),
            group_permissions=access.group_permissions if access else None,
            default=default.default if default else None,
            default_users=default.users if default else (),
            default_groups=default.groups if default else (),
            capabilities=values.get(CAPABILITIES),
            project=project or None,
        )
        try:
            return encode_metadata(metadata)
        except Invalid as error:
            self._log.warn(path, f"extended attributes are left out: {error}")
            return b""

    def _value(self, name: str, file: int, path: bytes) -> bytes | None:
        """The value of an attribute that an archive has a place for. None when it has just been removed."""
        if not is_kept(name) and name not in (ACCESS_XATTR, DEFAULT_XATTR, CAPABILITIES):
            return None
        try:
            value = os.getxattr(file, name)
        except OSError as error:
            if error.errno != errno.ENODATA:
                self._log.warn(path, f"attribute {name} cannot be read: {error.strerror}")
            return None
        if len(os.fsencode(name)) + 1 + len(value) > MAX_XATTR_BYTES:
            self._log.warn(path, f"attribute {name} is left out: {len(value)} bytes are more than an archive takes")
            return None
        return value

    def _acl(self, value: bytes | None, path: bytes) -> KernelAcl | None:
        if value is None:
            return None
        try:
            return KernelAcl(value)
        except UnknownAcl as error:
            self._log.warn(path, f"its ACL is left out: {error}")
            return None
