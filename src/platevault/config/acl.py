"""The access list: who has which role on which path (spec rest-api §6.3, §6.4)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from platevault.config.database import Database
from platevault.config.sections import NoSuchEntry, Section
from platevault.errors import Invalid
from platevault.formats.names import MAX_NAMESPACE_DEPTH, SAFE_ID

MAX_PATH_CHARACTERS = 128
NO_ACCESS = "NoAccess"
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

    def grant(self, entry: AclEntry, *, digest: str | None = None) -> None:
        """Add a role. `NoAccess` stands alone: it takes the place of all other roles of that id on the path, and any role takes its.

        Raises StaleDigest.
        """

        def clashes(other: AclEntry) -> bool:
            same_place = (other.path, other.auth_id) == (entry.path, entry.auth_id)
            return same_place and NO_ACCESS in (other.role, entry.role) and other.role != entry.role

        self.put(entry, digest=digest, instead_of=clashes)

    def revoke(self, path: str, auth_id: str, role: str, *, digest: str | None = None) -> None:
        """Take a role away; one that is not there is fine. Raises StaleDigest."""
        key = AclEntry(path, auth_id, role).key
        if self.find(key) is not None or digest is not None:
            with suppress(NoSuchEntry):
                self.delete(key, digest=digest)


def split_path(path: str) -> tuple[str, ...]:
    """Components without empty ones."""
    return tuple(part for part in path.split("/") if part)


def normal_path(path: str) -> str:
    return "/" + "/".join(split_path(path))


def check_path(path: str) -> str:
    """The normal form of a path on which permissions may be set. Raises InvalidAclPath."""
    parts = split_path(path)
    if not path.startswith("/") or len(path) > MAX_PATH_CHARACTERS or any(not SAFE_ID.fullmatch(part) for part in parts):
        raise InvalidAclPath(f"invalid acl path '{path[:128]}'.", path=path)
    if not _PATH.fullmatch("/".join(parts)):
        raise InvalidAclPath(f"invalid acl path '{path[:128]}'.", path=path)
    return "/" + "/".join(parts)
