"""Roles and realms: what there is to choose from."""

from __future__ import annotations

import hashlib
from typing import Any

from platevault.api.access_rules import PUBLIC, needs
from platevault.api.envelope import encode
from platevault.api.parameters import NoParams
from platevault.api.route import Call, Reply, Route
from platevault.services.roles import PRIVILEGES, ROLES

COMMENTS = {
    "Admin": "Administrator",
    "Audit": "Auditor",
    "NoAccess": "No access at all",
    "DatastoreAdmin": "Datastore administrator",
    "DatastoreReader": "Reads and verifies all backups",
    "DatastoreBackup": "Backs up, and restores its own",
    "DatastorePowerUser": "Backs up, restores and prunes its own",
    "DatastoreAudit": "Looks at datastores and their lists",
    "RemoteAudit": "Looks at remotes",
    "RemoteAdmin": "Remote administrator",
    "RemoteSyncOperator": "Pulls from remotes",
    "RemoteSyncPushOperator": "Pushes to remotes",
    "RemoteDatastorePowerUser": "Pushes to remotes and prunes what it pushed",
    "RemoteDatastoreAdmin": "Administrator of datastores on remotes",
    "TapeAudit": "Looks at tapes",
    "TapeAdmin": "Tape administrator",
    "TapeOperator": "Writes tapes",
    "TapeReader": "Reads tapes",
}
# No realm can be configured yet; these two always exist.
REALMS = {
    "pam": {"realm": "pam", "type": "pam", "comment": "Accounts of this machine"},
    "pbs": {"realm": "pbs", "type": "pbs", "comment": "Accounts of this server"},
}
REALMS_DIGEST = hashlib.sha256(encode(REALMS)).hexdigest()


def list_roles(call: Call, p: NoParams) -> list[dict[str, Any]]:
    """All roles with their privileges."""
    return [
        {"roleid": role, "privs": [name for name in PRIVILEGES if name in names], "comment": COMMENTS[role]}
        for role, names in ROLES.items()
    ]


def list_realms(call: Call, p: NoParams) -> Reply:
    """All realms; a login form shows them."""
    return Reply(list(REALMS.values()), digest=REALMS_DIGEST)


def get_realm(call: Call, p: NoParams) -> Reply:
    """One of the realms that always exist."""
    return Reply(REALMS[call.route.path.rpartition("/")[2]], digest=REALMS_DIGEST)


_SEE_REALMS = needs("/access/domains", "Sys.Audit")

ROUTES = [
    Route("GET", "/access/roles", list_roles),
    Route("GET", "/access/domains", list_realms, access=PUBLIC),
    Route("GET", "/config/access/pam", get_realm, access=_SEE_REALMS),
    Route("GET", "/config/access/pbs", get_realm, access=_SEE_REALMS),
]
