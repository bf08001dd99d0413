"""Which datastores a caller sees, and how much of them.

Source: spec rest-api §10.3 (GET /admin/datastore), §10.6. With a privilege in a namespace alone, the datastore can be seen, and nothing
that its figures would tell about others.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from platevault.api.content_access import AUDIT, BACKUP, has_any
from platevault.api.route import Call
from platevault.config.datastores import DatastoreConfig
from platevault.services.access import datastore_path


class Sight(Enum):
    """FULL: with its figures. NAME: that it exists. NOTHING."""

    FULL = "full"
    NAME = "name"
    NOTHING = "nothing"


def sight_of(call: Call, store: str) -> Sight:
    if has_any(call, store, None, AUDIT, BACKUP):
        return Sight.FULL
    return Sight.NAME if call.app.access.has_any_below(call.auth_id, datastore_path(store)) else Sight.NOTHING


def seen_stores(call: Call) -> Iterator[tuple[DatastoreConfig, Sight]]:
    """All datastores that the caller may know of, by name."""
    for config in call.app.datastores.configs.all():
        sight = sight_of(call, config.name)
        if sight is not Sight.NOTHING:
            yield config, sight
