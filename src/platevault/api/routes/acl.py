"""The access list, and the privileges that come out of it."""

from __future__ import annotations

from typing import Any

from platevault.api.parameters import Params
from platevault.api.route import Call, Reply, Route
from platevault.api.types import AclText, AuthId, Digest, GroupId, RoleId
from platevault.config.acl import AclEntry, check_path, normal_path, split_path
from platevault.config.identifiers import is_token, user_of
from platevault.errors import Invalid, NotFound

PLACE = "/access/acl"


class AclFilter(Params):
    path: AclText | None = None
    exact: bool = False


class AclChange(Params):
    path: AclText
    role: RoleId
    auth_id: AuthId | None = None
    group: GroupId | None = None
    propagate: bool = True
    delete: bool = False
    digest: Digest | None = None


class PermissionsFilter(Params):
    auth_id: AuthId | None = None
    path: AclText | None = None


def list_entries(call: Call, p: AclFilter) -> Reply:
    """The entries of the access list; without Sys.Audit those of the caller's own tokens."""
    everything = call.app.access.has_any(call.auth_id, PLACE, ["Sys.Audit"])
    start = split_path(p.path) if p.path is not None else ()

    def wanted(entry: AclEntry) -> bool:
        parts = split_path(entry.path)
        if p.path is not None and (parts != start if p.exact else parts[: len(start)] != start):
            return False
        return everything or _is_own_token(call, entry.auth_id)

    acl = call.app.accounts.acl
    return Reply([_item(entry) for entry in acl.all() if wanted(entry)], digest=acl.digest())


def _item(entry: AclEntry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "ugid": entry.auth_id,
        "ugid_type": "user",
        "propagate": entry.propagate,
        "roleid": entry.role,
    }


def change_entry(call: Call, p: AclChange) -> None:
    """Give a role on a path, or take it away."""
    if p.group is not None:
        raise Invalid("parameter 'group' - groups are currently not supported.")
    if p.auth_id is None:
        raise Invalid("missing 'userid' or 'group' parameter.")
    if not call.app.access.has_any(call.auth_id, PLACE, ["Permissions.Modify"]) and not _is_own_token(call, p.auth_id):
        raise Invalid("Unprivileged users can only set ACL items for API tokens.")
    if p.delete:
        call.app.accounts.acl.revoke(normal_path(p.path), p.auth_id, p.role, digest=p.digest)
        return
    path = check_path(p.path)
    if not call.app.access.exists(p.auth_id):
        raise NotFound("no such API token." if is_token(p.auth_id) else "no such user.")
    call.app.accounts.acl.grant(AclEntry(path, p.auth_id, p.role, p.propagate), digest=p.digest)


def _is_own_token(call: Call, auth_id: str) -> bool:
    """A token of the calling user. A token has no tokens of its own."""
    return is_token(auth_id) and user_of(auth_id) == call.auth_id


def list_permissions(call: Call, p: PermissionsFilter) -> dict[str, dict[str, bool]]:
    """The privileges of the caller, or of somebody else, by path; true: they hold for what is below, too."""
    auth_id = p.auth_id or call.auth_id
    others = call.app.access.has_any(call.auth_id, "/access", ["Sys.Audit"])
    if not (others or auth_id == call.auth_id or _is_own_token(call, auth_id)):
        raise Invalid(f"not allowed to list permissions of auth id '{auth_id}'")
    return call.app.access.listing(auth_id, None if p.path is None else normal_path(p.path))


ROUTES = [
    Route("GET", PLACE, list_entries, AclFilter),
    Route("PUT", PLACE, change_entry, AclChange),
    Route("GET", "/access/permissions", list_permissions, PermissionsFilter),
]
