"""What an archive keeps of an entry beside its content: stat, extended attributes, ACLs, capabilities, project id.

Source: spec formats §8.2 (order), §8.3 (stat), §8.4 (ACLs).
"""

from __future__ import annotations

import stat as st
from dataclasses import dataclass
from typing import NamedTuple

from platevault.errors import Invalid
from platevault.formats.pxar import items
from platevault.formats.pxar.items import FOUR, MAX_XATTR_BYTES, ONE, TWO, item

NO_PERMISSIONS = 2**64 - 1  # a missing entry of the default ACL


class Stat(NamedTuple):
    """mode: type and permissions as in `st_mode`. flags: spec formats §8.3.1. mtime_s is the floor, 0 <= mtime_ns < 10**9 is added."""

    mode: int
    flags: int = 0
    uid: int = 0
    gid: int = 0
    mtime_s: int = 0
    mtime_ns: int = 0

    @property
    def permissions(self) -> int:
        """The lower twelve bits of the mode."""
        return self.mode & 0o7777

    @property
    def mtime(self) -> int:
        """Nanoseconds since 1970, may be negative."""
        return self.mtime_s * 1_000_000_000 + self.mtime_ns

    @property
    def type(self) -> int:
        """The type bits of the mode, as `stat.S_IFMT` gives them."""
        return st.S_IFMT(self.mode)


class AclEntry(NamedTuple):
    """Permissions (r 4, w 2, x 1) of one named user or group."""

    id: int
    permissions: int


class DefaultAcl(NamedTuple):
    """Unnamed entries of a default ACL; None where one is missing."""

    user: int | None
    group: int | None
    other: int | None
    mask: int | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything beside stat. `xattrs`: full names and values. `group_permissions`: of the owning group when the access ACL has a mask,
    which then stands in the group bits of the mode. `capabilities`: the value of `security.capability`. `project`: quota project id."""

    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    users: tuple[AclEntry, ...] = ()
    groups: tuple[AclEntry, ...] = ()
    group_permissions: int | None = None
    default: DefaultAcl | None = None
    default_users: tuple[AclEntry, ...] = ()
    default_groups: tuple[AclEntry, ...] = ()
    capabilities: bytes | None = None
    project: int | None = None


NOTHING = Metadata()


def encode_metadata(metadata: Metadata) -> bytes:
    """The items between ENTRY and what follows, in the order that writers keep. Raises Invalid for an attribute that does not fit."""
    parts = [_xattr(name, value) for name, value in metadata.xattrs]
    parts += _acl(items.ACL_USER, metadata.users)
    parts += _acl(items.ACL_GROUP, metadata.groups)
    if metadata.group_permissions is not None:
        parts.append(item(items.ACL_GROUP_OBJ, ONE.pack(metadata.group_permissions)))
    if metadata.default is not None:
        parts.append(item(items.ACL_DEFAULT, FOUR.pack(*(NO_PERMISSIONS if one is None else one for one in _wire_order(metadata.default)))))
    parts += _acl(items.ACL_DEFAULT_USER, metadata.default_users)
    parts += _acl(items.ACL_DEFAULT_GROUP, metadata.default_groups)
    if metadata.capabilities is not None:
        parts.append(_limited(items.FCAPS, metadata.capabilities, "file capabilities"))
    if metadata.project is not None:
        parts.append(item(items.QUOTA_PROJID, ONE.pack(metadata.project)))
    return b"".join(parts)


def _wire_order(default: DefaultAcl) -> tuple[int | None, ...]:
    return default.user, default.group, default.other, default.mask


def _acl(kind: int, entries: tuple[AclEntry, ...]) -> list[bytes]:
    return [item(kind, TWO.pack(entry.id, entry.permissions)) for entry in entries]


def _xattr(name: bytes, value: bytes) -> bytes:
    if not name or b"\0" in name:
        raise Invalid(f"impossible name of an extended attribute: {name!r}", name=name)
    return _limited(items.XATTR, name + b"\0" + value, f"extended attribute {name!r}")


def _limited(kind: int, content: bytes, what: str) -> bytes:
    if len(content) > MAX_XATTR_BYTES:
        raise Invalid(f"{what} has {len(content)} bytes, an archive takes {MAX_XATTR_BYTES}", size=len(content))
    return item(kind, content)


class MetadataReader:
    """Collects the metadata items of one entry, in whatever order they come."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[int, list[bytes]] = {}

    def take(self, kind: int, content: bytes) -> bool:
        """Keep an item. False when one that may stand once only stands there again."""
        known = self._found.setdefault(kind, [])
        known.append(content)
        return len(known) == 1 or kind in REPEATED

    def finish(self) -> Metadata:
        """The values. An ACL's or a project's content has its length checked already; a missing zero in an xattr makes an empty value."""
        found = self._found
        default = found.get(items.ACL_DEFAULT)
        capabilities, project, group = found.get(items.FCAPS), found.get(items.QUOTA_PROJID), found.get(items.ACL_GROUP_OBJ)
        return Metadata(
            xattrs=tuple(_split(content) for content in found.get(items.XATTR, ())),
            users=self._entries(items.ACL_USER),
            groups=self._entries(items.ACL_GROUP),
            group_permissions=ONE.unpack(group[0])[0] if group else None,
            default=None if default is None else DefaultAcl(*(None if one == NO_PERMISSIONS else one for one in FOUR.unpack(default[0]))),
            default_users=self._entries(items.ACL_DEFAULT_USER),
            default_groups=self._entries(items.ACL_DEFAULT_GROUP),
            capabilities=capabilities[0] if capabilities else None,
            project=ONE.unpack(project[0])[0] if project else None,
        )

    def _entries(self, kind: int) -> tuple[AclEntry, ...]:
        return tuple(AclEntry(*TWO.unpack(content)) for content in self._found.get(kind, ()))


def _split(content: bytes) -> tuple[bytes, bytes]:
    name, _, value = content.partition(b"\0")
    return name, value


REPEATED = frozenset({items.XATTR, items.ACL_USER, items.ACL_GROUP, items.ACL_DEFAULT_USER, items.ACL_DEFAULT_GROUP})
KINDS = REPEATED | {items.ACL_GROUP_OBJ, items.ACL_DEFAULT, items.FCAPS, items.QUOTA_PROJID}
