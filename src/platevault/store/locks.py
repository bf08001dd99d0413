"""Who excludes whom: every operation on a datastore, the locks that it takes, and what follows from that.

Source: spec formats §4.6, §1.6, administration §1.1, §3.2. The page docs/design/locks.md shows the table that `excludes` computes; a test
compares them. Nobody waits for a lock (but for the manifest, a few milliseconds): the later one is told at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LockName(StrEnum):
    """What can be locked. OPERATIONS is the count of running operations that maintenance and removal of a datastore look at."""

    GROUP = "group"
    SNAPSHOT = "snapshot"
    STORE = "store"
    OPERATIONS = "operations"


class Mode(StrEnum):
    """Two SHARED holders get along, everything else does not."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class Operation(StrEnum):
    """What is done to one snapshot, its group, or the store."""

    BACKUP = "backup"
    READ = "read"
    PRUNE = "prune"
    VERIFY = "verify"
    SYNC = "sync"
    GC = "GC"
    MOVE = "namespace move"
    REMOVE_STORE = "datastore removal"


@dataclass(frozen=True, slots=True)
class Takes:
    """Locks of one operation, for the snapshot that it works on."""

    locks: dict[LockName, Mode]


S, X = Mode.SHARED, Mode.EXCLUSIVE
TABLE: dict[Operation, Takes] = {
    # A backup also shares the snapshot before its own, so that this one cannot be removed: to others it is a reader there.
    Operation.BACKUP: Takes({LockName.GROUP: X, LockName.SNAPSHOT: X, LockName.OPERATIONS: S}),
    Operation.READ: Takes({LockName.SNAPSHOT: S, LockName.OPERATIONS: S}),
    # Prune takes the group lock only to remove an empty group, and leaves the directory when it is busy: no exclusion.
    Operation.PRUNE: Takes({LockName.SNAPSHOT: X, LockName.OPERATIONS: S}),
    Operation.VERIFY: Takes({LockName.SNAPSHOT: S, LockName.OPERATIONS: S}),
    Operation.SYNC: Takes({LockName.GROUP: X, LockName.SNAPSHOT: X, LockName.OPERATIONS: S}),
    # Writers and garbage collection of one process get along (oldest writer rule); the hold on `.lock` excludes other processes.
    Operation.GC: Takes({LockName.STORE: X, LockName.OPERATIONS: S}),
    Operation.MOVE: Takes({LockName.GROUP: X, LockName.SNAPSHOT: X, LockName.OPERATIONS: S}),
    Operation.REMOVE_STORE: Takes({LockName.OPERATIONS: X}),
}


def excludes(one: Operation, other: Operation) -> LockName | None:
    """The lock that keeps the two from working on the same snapshot at the same time; None when they get along."""
    for name, mode in TABLE[one].locks.items():
        theirs = TABLE[other].locks.get(name)
        if theirs is not None and Mode.EXCLUSIVE in (mode, theirs):
            return name
    return None
