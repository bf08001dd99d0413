"""The declared permission of an endpoint: what is checked before its parameters are looked at.

Source: spec rest-api §6.5. A rule sees the placeholders of the path only. Rules that need a parameter (the namespace), the owner of a
group or a look below a path are checked by the handler itself with `api.content_access`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

Privileges = Callable[[str], Collection[str]]

SUPERUSER_ID = "root@pam"


class Rule(Protocol):
    """A declared permission. `str()` of it is the text of the API document."""

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        """Whether this caller may go on. place: the placeholders; privileges: those of the caller on an ACL path."""
        ...


@dataclass(frozen=True, slots=True)
class Everybody:
    """No authentication at all."""

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return True

    def __str__(self) -> str:
        return "none (public)"


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Any valid ticket or token."""

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return True

    def __str__(self) -> str:
        return "authenticated"


@dataclass(frozen=True, slots=True)
class Superuser:
    """root@pam alone; not its tokens."""

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return auth_id == SUPERUSER_ID

    def __str__(self) -> str:
        return "root@pam only"


@dataclass(frozen=True, slots=True)
class OneOf:
    """At least one of the privileges on an ACL path, in which `{name}` stands for a placeholder."""

    path: str
    names: frozenset[str]

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return not self.names.isdisjoint(privileges(self.path.format_map(place)))

    def __str__(self) -> str:
        return f"{' or '.join(sorted(self.names))} on {self.path}"


@dataclass(frozen=True, slots=True)
class Oneself:
    """The user that a placeholder names; not its tokens."""

    placeholder: str = "userid"

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return place[self.placeholder] == auth_id

    def __str__(self) -> str:
        return "self"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several rules."""

    rules: tuple[Rule, ...]

    def allows(self, auth_id: str, place: Mapping[str, str], privileges: Privileges) -> bool:
        return any(rule.allows(auth_id, place, privileges) for rule in self.rules)

    def __str__(self) -> str:
        return ", or ".join(map(str, self.rules))


PUBLIC = Everybody()
AUTHENTICATED = Authenticated()
SUPERUSER = Superuser()


def needs(path: str, *names: str) -> OneOf:
    """The rule that one of these privileges is held on an ACL path."""
    return OneOf(path, frozenset(names))


def either(*rules: Rule) -> Either:
    return Either(rules)
