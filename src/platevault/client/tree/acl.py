"""POSIX ACLs as the kernel keeps them in extended attributes, and as an archive keeps them.

Source: spec formats §8.4; acl(5), linux/posix_acl_xattr.h: u32 version 2, then entries of u16 tag, u16 permissions, u32 id, little endian,
ordered by tag.
"""

from __future__ import annotations

import struct

from platevault.errors import Corrupt
from platevault.formats.pxar.metadata import AclEntry, DefaultAcl, Metadata

ACCESS_XATTR = "system.posix_acl_access"
DEFAULT_XATTR = "system.posix_acl_default"
VERSION = 2
NO_ID = 0xFFFFFFFF
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


class UnknownAcl(Corrupt):
    """The value is no ACL of version 2."""


class KernelAcl:
    """An ACL taken apart: unnamed permissions by tag, named ones sorted by id."""

    def __init__(self, value: bytes) -> None:
        """Raises UnknownAcl."""
        if len(value) < _HEADER.size or (len(value) - _HEADER.size) % _ENTRY.size or _HEADER.unpack_from(value)[0] != VERSION:
            raise UnknownAcl("not an ACL of version 2")
        self.unnamed: dict[int, int] = {}
        named: dict[int, list[AclEntry]] = {USER: [], GROUP: []}
        for tag, permissions, identity in _ENTRY.iter_unpack(value[_HEADER.size :]):
            if tag in named:
                named[tag].append(AclEntry(identity, permissions))
            else:
                self.unnamed[tag] = permissions
        self.users, self.groups = tuple(sorted(named[USER])), tuple(sorted(named[GROUP]))

    @property
    def group_permissions(self) -> int | None:
        """Of the owning group, when a mask stands in the group bits of the mode instead; then the mode alone does not tell them."""
        return self.unnamed.get(GROUP_OBJ) if MASK in self.unnamed else None

    @property
    def default(self) -> DefaultAcl:
        """The unnamed entries of a default ACL."""
        return DefaultAcl(*(self.unnamed.get(tag) for tag in (USER_OBJ, GROUP_OBJ, OTHER, MASK)))


def access_value(mode: int, metadata: Metadata) -> bytes | None:
    """The access ACL for the kernel; None when the mode says it all. The mask is in the group bits of the mode."""
    users, groups, group = metadata.users, metadata.groups, metadata.group_permissions
    if not users and not groups and group is None:
        return None
    group_bits = mode >> 3 & 7
    return _value(mode >> 6 & 7, users, group_bits if group is None else group, groups, group_bits, mode & 7)


def default_value(metadata: Metadata) -> bytes | None:
    """The default ACL of a directory for the kernel; None when it has none."""
    default = metadata.default
    if default is None:
        return None
    return _value(default.user, metadata.default_users, default.group, metadata.default_groups, default.mask, default.other)


def _value(
    user: int | None, users: tuple[AclEntry, ...], group: int | None, groups: tuple[AclEntry, ...], mask: int | None, other: int | None
) -> bytes:
    entries = [(USER_OBJ, user, NO_ID), *((USER, one.permissions, one.id) for one in users)]
    entries += [(GROUP_OBJ, group, NO_ID), *((GROUP, one.permissions, one.id) for one in groups)]
    entries += [(MASK, mask, NO_ID), (OTHER, other, NO_ID)]
    packed = (_ENTRY.pack(tag, permissions & 7, identity & NO_ID) for tag, permissions, identity in entries if permissions is not None)
    return _HEADER.pack(VERSION) + b"".join(packed)
