"""Who may do what: privileges of users and tokens, from the access list."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable

from platevault.clock import Clock
from platevault.config.acl import Acl, split_path
from platevault.config.identifiers import SUPERUSER, is_token, user_of
from platevault.config.users import Tokens, Users
from platevault.errors import Forbidden
from platevault.formats.names import Namespace
from platevault.services import permissions
from platevault.services.roles import PRIVILEGES

DEFAULT_PATHS = ("/", "/access", "/datastore", "/remote", "/system")
STORE_PRIVILEGES = frozenset(f"Datastore.{name}" for name in ("Audit", "Modify", "Read", "Verify", "Backup", "Prune"))


class PermissionDenied(Forbidden):
    """A privilege is missing. Facts: `path`, `privileges`."""


class NotOwner(Forbidden):
    """The group belongs to somebody else. Facts: `owner`, `auth_id`."""


def datastore_path(store: str, ns: Namespace | None = None) -> str:
    """ACL path of a datastore or of a namespace in it."""
    return "/".join(("/datastore", store, *(ns.components if ns else ())))


def is_owner(owner: str, auth_id: str) -> bool:
    """The owner itself, or the user whose token owns the group. A token does not own the groups of its user."""
    return owner == auth_id or (is_token(owner) and user_of(owner) == auth_id)


class Access:
    """Privileges by id and path. `_lock` protects the indexed rules, which are rebuilt when the access list has changed."""

    def __init__(self, acl: Acl, users: Users, tokens: Tokens, clock: Clock) -> None:
        self._acl, self._users, self._tokens, self._clock = acl, users, tokens, clock
        self._lock = threading.Lock()
        self._digest = ""
        self._rules: permissions.Rules = {}

    def _current_rules(self) -> permissions.Rules:
        digest = self._acl.digest()
        with self._lock:
            if digest != self._digest:
                self._rules, self._digest = permissions.index_rules(self._acl.all()), digest
            return self._rules

    def exists(self, auth_id: str) -> bool:
        """There is such a user or token, active or not."""
        return (self._tokens if is_token(auth_id) else self._users).find(auth_id) is not None

    def is_active(self, auth_id: str) -> bool:
        """The user, and the token if it is one, exists, is enabled and not expired."""
        now, user = self._clock.now(), self._users.find(user_of(auth_id))
        if user is None or not user.is_active(now):
            return False
        if not is_token(auth_id):
            return True
        token = self._tokens.find(auth_id)
        return token is not None and token.is_active(now)

    def flagged(self, auth_id: str, path: str) -> dict[str, bool]:
        """Privileges on a path, each with its propagation flag."""
        if not self.is_active(auth_id):
            return {}
        if auth_id == SUPERUSER:
            return dict.fromkeys(PRIVILEGES, True)
        rules = self._current_rules()
        own = permissions.evaluate(rules, auth_id, path)
        return permissions.combine(own, self.flagged(user_of(auth_id), path)) if is_token(auth_id) else own

    def privileges(self, auth_id: str, path: str) -> frozenset[str]:
        return frozenset(self.flagged(auth_id, path))

    def has_any(self, auth_id: str, path: str, names: Iterable[str]) -> bool:
        return not self.privileges(auth_id, path).isdisjoint(names)

    def check_any(self, auth_id: str, path: str, names: Collection[str]) -> None:
        """Raises PermissionDenied unless at least one privilege is there."""
        if not self.has_any(auth_id, path, names):
            wanted = "|".join(names)
            raise PermissionDenied(f"permission check failed - missing {wanted} on {path}", path=path, privileges=tuple(names))

    def check_all(self, auth_id: str, path: str, names: Collection[str]) -> None:
        """Raises PermissionDenied unless all privileges are there."""
        if not self.privileges(auth_id, path).issuperset(names):
            raise PermissionDenied(f"permission check failed - missing {'&'.join(names)} on {path}", path=path, privileges=tuple(names))

    def check_owner(self, owner: str, auth_id: str) -> None:
        """Raises NotOwner."""
        if not is_owner(owner, auth_id):
            raise NotOwner(f"backup owner check failed ({auth_id} != {owner})", owner=owner, auth_id=auth_id)

    def has_any_below(self, auth_id: str, path: str, names: Iterable[str] = STORE_PRIVILEGES) -> bool:
        """One of the privileges on the path or on any path below it that has entries."""
        start, wanted = split_path(path), frozenset(names)
        below = [parts for parts in self._current_rules() if parts[: len(start)] == start]
        return any(self.has_any(auth_id, "/" + "/".join(parts), wanted) for parts in [start, *below])

    def listing(self, auth_id: str, path: str | None = None) -> dict[str, dict[str, bool]]:
        """Path -> privilege -> propagates: the default paths and all with entries, or one; empty ones are left out."""
        paths = [path] if path is not None else self._listed_paths()
        found = {item: self.flagged(auth_id, item) for item in paths}
        return {item: flags for item, flags in found.items() if flags}

    def _listed_paths(self) -> list[str]:
        paths = set(DEFAULT_PATHS)
        for parts in self._current_rules():
            paths |= {"/" + "/".join(parts[:depth]) for depth in range(len(parts) + 1)}
        return sorted(paths)
