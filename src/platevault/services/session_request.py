"""What a client asks for when it opens a session, and how its task is called. Source: spec wire-protocol §2.3, §3.14, §4."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.formats.names import BackupType, GroupName, Namespace, SnapshotName

BENCHMARK_GROUP = GroupName(BackupType.HOST, "benchmark")


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A snapshot of a datastore, and who wants it. client: address of the peer, for the log."""

    store: str
    ns: Namespace
    snapshot: SnapshotName
    auth_id: str
    client: str = ""
    debug: bool = False
    benchmark: bool = False

    @property
    def group(self) -> GroupName:
        return self.snapshot.group

    @property
    def group_id(self) -> str:
        """Worker id of a backup; the namespace is no part of it."""
        return f"{self.store}:{self.group}"

    @property
    def snapshot_id(self) -> str:
        """Worker id of a reader, and of the verification of this snapshot."""
        return f"{self.group_id}/{self.snapshot.time:08X}"

    @property
    def relative_path(self) -> str:
        """Of the snapshot below the base of the datastore, as task logs show it."""
        return "/".join(part for part in (self.ns.relative_path, str(self.snapshot)) if part)
