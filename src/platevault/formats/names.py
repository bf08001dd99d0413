"""Names of datastores, namespaces, groups, snapshots and archives, and their text forms.

Source: spec formats §4.1-§4.3, wire-protocol §2.3. A value of one of these classes has been checked: it can become a path.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from platevault.errors import Invalid

SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]*", re.ASCII)
MANIFEST_NAME = "index.json.blob"
CLIENT_LOG_NAME = "client.log.blob"
CATALOG_NAME = "catalog.pcat1.didx"
MAX_NAMESPACE_DEPTH = 7
MAX_NAMESPACE_CHARACTERS = 256
MAX_TIME = 253402300799  # 9999-12-31T23:59:59Z: the year has four digits

_STORE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]{2,31}\Z", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", re.ASCII)


class InvalidName(Invalid):
    """A name that cannot be one of its kind. Fact: `name`."""


class BackupType(StrEnum):
    """What was backed up."""

    VM = "vm"
    CT = "ct"
    HOST = "host"

    @classmethod
    def parse(cls, text: str) -> BackupType:
        try:
            return cls(text)
        except ValueError:
            raise InvalidName(f"'{text[:64]}' is no backup type: one of vm, ct, host", name=text) from None


class ArchiveKind(StrEnum):
    """How an archive is stored; the value is its extension on the server."""

    FIXED = "fidx"
    DYNAMIC = "didx"
    BLOB = "blob"


def check_safe(text: str, what: str) -> str:
    """`text`, if it matches SAFE_ID. Raises InvalidName."""
    if not SAFE_ID.fullmatch(text):
        raise InvalidName(f"'{text[:64]}' is no valid {what}", name=text)
    return text


def check_store_name(text: str) -> str:
    """A datastore name: SAFE_ID, 3 to 32 characters."""
    if not _STORE.match(text):
        raise InvalidName(f"'{text[:64]}' is no valid datastore name: 3 to 32 letters, digits, '.', '_' or '-'", name=text)
    return text


def format_time(epoch: int) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` of seconds since the epoch, 1 to MAX_TIME."""
    if not 1 <= epoch <= MAX_TIME:
        raise InvalidName(f"{epoch} is no backup time: seconds since 1970, at least 1", name=str(epoch))
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def parse_time(text: str) -> int:
    """The inverse of `format_time`; only the exact form is accepted."""
    try:
        if not _TIME.match(text):
            raise ValueError
        epoch = int(datetime.fromisoformat(text).timestamp())
        if format_time(epoch) != text:  # hour 24 is another time from Python 3.14 on
            raise ValueError
    except ValueError:
        raise InvalidName(f"'{text[:64]}' is no backup time of the form YYYY-MM-DDTHH:MM:SSZ", name=text) from None
    return epoch


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """A path of names below the datastore; no component is the root."""

    components: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Namespace:
        """From `a/b`; the empty text is the root. Raises InvalidName."""
        return cls._checked(tuple(text.split("/")) if text else (), text)

    @classmethod
    def _checked(cls, components: tuple[str, ...], text: str) -> Namespace:
        if len(text) > MAX_NAMESPACE_CHARACTERS:
            raise InvalidName(f"namespace is longer than {MAX_NAMESPACE_CHARACTERS} characters", name=text)
        if len(components) > MAX_NAMESPACE_DEPTH:
            raise InvalidName(f"namespace '{text}' is deeper than {MAX_NAMESPACE_DEPTH} levels", name=text)
        for part in components:
            check_safe(part, "namespace")
        return cls(components)

    def __str__(self) -> str:
        return "/".join(self.components)

    @property
    def depth(self) -> int:
        return len(self.components)

    @property
    def is_root(self) -> bool:
        return not self.components

    @property
    def name(self) -> str:
        """Last component, empty for the root."""
        return self.components[-1] if self.components else ""

    @property
    def parent(self) -> Namespace:
        """One level up; the root is its own parent."""
        return Namespace(self.components[:-1])

    def child(self, name: str) -> Namespace:
        components = (*self.components, name)
        return self._checked(components, "/".join(components))

    def is_below(self, other: Namespace) -> bool:
        """True for `other` itself, too."""
        return self.components[: len(other.components)] == other.components

    @property
    def relative_path(self) -> str:
        """Directory below the base of the datastore: `ns/a/ns/b`, empty for the root."""
        return "/".join(f"ns/{part}" for part in self.components)


ROOT = Namespace()


@dataclass(frozen=True, slots=True, order=True)
class GroupName:
    """All backups of one thing, e.g. `vm/100`."""

    type: BackupType
    id: str

    @classmethod
    def make(cls, backup_type: str, backup_id: str) -> GroupName:
        """From two texts. Raises InvalidName."""
        return cls(BackupType.parse(backup_type), check_safe(backup_id, "backup id"))

    @classmethod
    def parse(cls, text: str) -> GroupName:
        backup_type, slash, backup_id = text.partition("/")
        if not slash:
            raise InvalidName(f"'{text[:64]}' is no backup group: TYPE/ID expected", name=text)
        return cls.make(backup_type, backup_id)

    def __str__(self) -> str:
        return f"{self.type.value}/{self.id}"

    @property
    def sort_key(self) -> tuple[str, int, int, str]:
        """Order of lists: type, numeric ids first by number, then the others by text."""
        numeric = self.id.isascii() and self.id.isdigit() and len(self.id) < 20
        return (self.type.value, 0 if numeric else 1, int(self.id) if numeric else 0, self.id)


@dataclass(frozen=True, slots=True, order=True)
class SnapshotName:
    """One backup of a group; `time` in seconds since the epoch."""

    group: GroupName
    time: int

    @classmethod
    def make(cls, backup_type: str, backup_id: str, backup_time: int) -> SnapshotName:
        group = GroupName.make(backup_type, backup_id)
        format_time(backup_time)
        return cls(group, backup_time)

    @classmethod
    def parse(cls, text: str) -> SnapshotName:
        """From `vm/100/2024-06-10T06:13:20Z`. Raises InvalidName."""
        group, slash, moment = text.rpartition("/")
        if not slash or "/" not in group:
            raise InvalidName(f"'{text[:96]}' is no snapshot: TYPE/ID/TIME expected", name=text)
        return cls(GroupName.parse(group), parse_time(moment))

    @property
    def time_text(self) -> str:
        return format_time(self.time)

    def __str__(self) -> str:
        return f"{self.group}/{self.time_text}"


def check_archive_name(text: str) -> str:
    """A file name on the server: SAFE_ID ending in .fidx, .didx or .blob."""
    archive_kind(text)
    return text


def archive_kind(name: str) -> ArchiveKind:
    """By extension. Raises InvalidName for any other and for unsafe names."""
    base, dot, extension = name.rpartition(".")
    if not dot or not base or extension not in ArchiveKind._value2member_map_ or not SAFE_ID.fullmatch(name):
        raise InvalidName(f"'{name[:96]}' is no archive name: letters, digits, '.', '_', '-' and .fidx, .didx or .blob", name=name)
    return ArchiveKind(extension)


_SERVER_EXTENSION = {
    "pxar": ArchiveKind.DYNAMIC,
    "mpxar": ArchiveKind.DYNAMIC,
    "ppxar": ArchiveKind.DYNAMIC,
    "pcat1": ArchiveKind.DYNAMIC,
    "img": ArchiveKind.FIXED,
    "conf": ArchiveKind.BLOB,
    "log": ArchiveKind.BLOB,
    "json": ArchiveKind.BLOB,
    "key": ArchiveKind.BLOB,
}


def server_name(name: str) -> str:
    """Name on the server of what a client calls `root.pxar`, `disk.img` or `vm.conf`; a server name stays as it is."""
    check_safe(name, "archive name")
    extension = name.rpartition(".")[2]
    if extension in ArchiveKind._value2member_map_:
        return check_archive_name(name)
    kind = _SERVER_EXTENSION.get(extension)
    if kind is None:
        raise InvalidName(f"'{name}' has no known extension: one of .{', .'.join(_SERVER_EXTENSION)}", name=name)
    return f"{name}.{kind.value}"


def client_name(name: str) -> str:
    """The inverse of `server_name`."""
    archive_kind(name)
    return name.rpartition(".")[0]
