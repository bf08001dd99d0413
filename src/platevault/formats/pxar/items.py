"""The items that a pxar archive is a sequence of: type ids, headers, limits.

Source: spec formats §8.1, checked against archives written by proxmox-backup-client 4.2.3. An item is a header of 16 bytes (type id, full
size with these 16 bytes; little endian) and its content. The ids are SipHashes of marker strings, so they are plain constants here.
"""

from __future__ import annotations

import struct

from platevault.errors import Corrupt

HEADER = struct.Struct("<QQ")
HEADER_BYTES = 16
STAT = struct.Struct("<QQIIqII")  # mode, flags, uid, gid, mtime seconds, nanoseconds, zero
STAT_V1 = struct.Struct("<QQIIQ")  # mode, flags, uid, gid, mtime nanoseconds
ONE = struct.Struct("<Q")
TWO = struct.Struct("<QQ")
FOUR = struct.Struct("<QQQQ")

FORMAT_VERSION = 0x730F6C75DF16A40D
PRELUDE = 0xE309D79D9F7B771B
ENTRY = 0xD5956474E588ACEF
ENTRY_V1 = 0x11DA850A1C1CCEFF
FILENAME = 0x16701121063917B3
SYMLINK = 0x27F971E7DBF5DC5F
DEVICE = 0x9FC9E906586D5CE9
XATTR = 0x0DAB0229B57DCD03
ACL_USER = 0x2CE8540A457D55B8
ACL_GROUP = 0x136E3ECEB04C03AB
ACL_GROUP_OBJ = 0x10868031E9582876
ACL_DEFAULT = 0xBBBB13415A6896F5
ACL_DEFAULT_USER = 0xC89357B40532CD1F
ACL_DEFAULT_GROUP = 0xF90A8A5816038FFE
FCAPS = 0x2DA9DD9DB5F7FB67
QUOTA_PROJID = 0xE07540E82F7D1CBB
HARDLINK = 0x51269C8422BD7275
PAYLOAD = 0x28147A1B0B7C1A25
PAYLOAD_REF = 0x419D3D6BC4BA977E
GOODBYE = 0x2FEC4FA642D5731D
GOODBYE_TAIL = 0xEF5EED5B753E1555  # no item: the hash field of the last goodbye entry
PAYLOAD_START = 0x834C68C2194A4ED2  # first item of a payload stream
PAYLOAD_TAIL = 0x6C72B78B984C81B5  # its last item

MAX_NAME_BYTES = 4096
MAX_XATTR_BYTES = 65791  # name of at most 255 bytes, zero, value of at most 64 KiB less one
MAX_PRELUDE_BYTES = 16 * 1024 * 1024  # ours: it is kept in memory
GOODBYE_ENTRY_BYTES = 24
_ANY = 2**64 - 1 - HEADER_BYTES

# Smallest and largest content of each item, in bytes.
CONTENT_BYTES: dict[int, tuple[int, int]] = {
    FORMAT_VERSION: (8, 8),
    PRELUDE: (0, MAX_PRELUDE_BYTES),
    ENTRY: (STAT.size, STAT.size),
    ENTRY_V1: (STAT_V1.size, STAT_V1.size),
    FILENAME: (2, MAX_NAME_BYTES + 1),
    SYMLINK: (1, MAX_NAME_BYTES + 1),
    DEVICE: (16, 16),
    XATTR: (2, MAX_XATTR_BYTES),
    ACL_USER: (16, 16),
    ACL_GROUP: (16, 16),
    ACL_GROUP_OBJ: (8, 8),
    ACL_DEFAULT: (32, 32),
    ACL_DEFAULT_USER: (16, 16),
    ACL_DEFAULT_GROUP: (16, 16),
    FCAPS: (0, MAX_XATTR_BYTES),
    QUOTA_PROJID: (8, 8),
    HARDLINK: (8 + 2, 8 + MAX_NAME_BYTES + 1),
    PAYLOAD: (0, _ANY),
    PAYLOAD_REF: (16, 16),
    GOODBYE: (GOODBYE_ENTRY_BYTES, _ANY),
}


class CorruptArchive(Corrupt):
    """The bytes are no pxar archive. Fact `offset`: where in the archive, in bytes."""


def item(kind: int, content: bytes) -> bytes:
    """A whole item."""
    return HEADER.pack(kind, HEADER_BYTES + len(content)) + content


def is_name(name: bytes) -> bool:
    """Whether `name` can name an entry of a directory: one path component, never upwards, never absolute."""
    return 0 < len(name) <= MAX_NAME_BYTES and b"/" not in name and b"\0" not in name and name not in (b".", b"..")
