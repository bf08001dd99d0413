"""The access list: who has which role on which path (spec rest-api §6.3, §6.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from platevault.config.database import Database
from platevault.config.sections import Section
from platevault.errors import Invalid
from platevault.formats.names import MAX_NAMESPACE_DEPTH, SAFE_ID

MAX_PATH_CHARACTERS = 128
_PATHS = (
    "",
    "access(/(acl|users|domains|openid(/ID)?))?",
    f"datastore(/ID(/ID){{0,{MAX_NAMESPACE_DEPTH}}})?",
    f"remote(/ID(/ID(/ID){{0,{MAX_NAMESPACE_DEPTH}}})?)?",
    "system(/(certificates|disks|log|notifications|status|tasks|time))?",
    "system/(services|s3-endpoint|encryption-keys)(/ID)?",
    "system/network(/dns|/interfaces(/ID)?)?",
    "tape(/(device|pool|job)(/ID)?)?",
)
_PATH = re.compile("|".join(f"({pattern})" for pattern in _PATHS).replace("ID", "[^/]+"))


class InvalidAclPath(Invalid):
    """A path that permissions cannot be set on. Fact: `path`."""


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One role of one user or token on one path."""

    path: str
    auth_id: str
    role: str
    propagate: bool = True

    @property
    def key(self) -> str:
        return f"{self.path} {self.auth_id} {self.role}"


class Acl(Section[AclEntry]):
    """All entries."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "acl", AclEntry, label="ACL entry")


def split_path(path: str) -> tuple[str, ...]:
    """Components without empty ones."""
    return tuple(part for part in path.split("/") if part)


def normal_path(path: str) -> str:
    return "/" + "/".join(split_path(path))


def check_path(path: str) -> str:
    """The normal form of a path on which permissions may be set. Raises InvalidAclPath."""
    parts = split_path(path)
    if not path.startswith("/") or len(path) > MAX_PATH_CHARACTERS or any(not SAFE_ID.fullmatch(part) for part in parts):
        raise InvalidAclPath(f"'{path[:128]}' is no ACL path", path=path)
    if not _PATH.fullmatch("/".join(parts)):
        raise InvalidAclPath(f"'{path[:128]}' is no ACL path", path=path)
    return "/" + "/".join(parts)
