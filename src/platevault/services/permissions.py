"""Evaluation of the access list: one pure function (spec rest-api §6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from platevault.config.acl import AclEntry, split_path
from platevault.services.roles import NO_ACCESS, ROLES

Rules = Mapping[tuple[str, ...], Mapping[str, Mapping[str, bool]]]
"""path components -> auth id -> role -> propagate."""


def index_rules(entries: Iterable[AclEntry]) -> Rules:
    """The entries in the shape that `evaluate` looks up."""
    rules: dict[tuple[str, ...], dict[str, dict[str, bool]]] = {}
    for entry in entries:
        rules.setdefault(split_path(entry.path), {}).setdefault(entry.auth_id, {})[entry.role] = entry.propagate
    return rules


def evaluate(rules: Rules, auth_id: str, path: str) -> dict[str, bool]:
    """Privileges that the entries of this very id give on a path, each with its propagation flag.

    Walks from the root down; at each node the roles that propagate, or belong to the last node, replace what was collected so far.
    """
    parts = split_path(path)
    collected: dict[str, bool] = {}
    for depth in range(len(parts) + 1):
        roles = rules.get(parts[:depth], {}).get(auth_id)
        if roles is None:
            continue
        here = {role: propagate for role, propagate in roles.items() if propagate or depth == len(parts)}
        if here:
            collected = {NO_ACCESS: here[NO_ACCESS]} if NO_ACCESS in here else here
    privileges: dict[str, bool] = {}
    for role, propagate in collected.items():
        for name in ROLES.get(role, ()):
            privileges[name] = privileges.get(name, False) or propagate
    return privileges


def combine(token: Mapping[str, bool], user: Mapping[str, bool]) -> dict[str, bool]:
    """What a token may: never more than its user; the propagation flag is combined, too."""
    return {name: flag and user[name] for name, flag in token.items() if name in user}
