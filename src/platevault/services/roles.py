"""Privileges and roles (spec rest-api §6.1, §6.2). There are no others."""

from __future__ import annotations

PRIVILEGES = (
    "Sys.Audit",
    "Sys.Modify",
    "Sys.PowerManagement",
    "Datastore.Audit",
    "Datastore.Allocate",
    "Datastore.Modify",
    "Datastore.Read",
    "Datastore.Verify",
    "Datastore.Backup",
    "Datastore.Prune",
    "Permissions.Modify",
    "Remote.Audit",
    "Remote.Modify",
    "Remote.Read",
    "Remote.DatastoreBackup",
    "Remote.DatastoreModify",
    "Remote.DatastorePrune",
    "Sys.Console",
    "Tape.Audit",
    "Tape.Modify",
    "Tape.Write",
    "Tape.Read",
    "Realm.Allocate",
)
ALL = frozenset(PRIVILEGES)
NO_ACCESS = "NoAccess"


def _in(room: str, *names: str) -> frozenset[str]:
    return frozenset(f"{room}.{name}" for name in names)


ROLES: dict[str, frozenset[str]] = {
    "Admin": ALL,
    "Audit": frozenset({"Sys.Audit", "Datastore.Audit"}),
    NO_ACCESS: frozenset(),
    "DatastoreAdmin": _in("Datastore", "Audit", "Modify", "Read", "Verify", "Backup", "Prune"),
    "DatastoreReader": _in("Datastore", "Audit", "Verify", "Read"),
    "DatastoreBackup": _in("Datastore", "Backup"),
    "DatastorePowerUser": _in("Datastore", "Prune", "Backup"),
    "DatastoreAudit": _in("Datastore", "Audit"),
    "RemoteAudit": _in("Remote", "Audit"),
    "RemoteAdmin": _in("Remote", "Audit", "Modify", "Read"),
    "RemoteSyncOperator": _in("Remote", "Audit", "Read"),
    "RemoteSyncPushOperator": _in("Remote", "Audit", "DatastoreBackup"),
    "RemoteDatastorePowerUser": _in("Remote", "Audit", "DatastoreBackup", "DatastorePrune"),
    "RemoteDatastoreAdmin": _in("Remote", "Audit", "DatastoreBackup", "DatastoreModify", "DatastorePrune"),
    "TapeAudit": _in("Tape", "Audit"),
    "TapeAdmin": _in("Tape", "Audit", "Modify", "Read", "Write"),
    "TapeOperator": _in("Tape", "Audit", "Read", "Write"),
    "TapeReader": _in("Tape", "Audit", "Read"),
}
