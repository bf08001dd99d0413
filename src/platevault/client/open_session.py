"""Start a backup or a reader session on a server.

Source: spec wire-protocol §2.3. The namespace is left out for the root, as old servers expect; no key is sent that old servers refuse.
"""

from __future__ import annotations

from collections.abc import Mapping

from platevault.client.connect import BACKUP_PROTOCOL, READER_PROTOCOL, open_session_link
from platevault.client.repository import Repository
from platevault.client.session import Session
from platevault.client.trust import Trust
from platevault.formats.names import Namespace, SnapshotName
from platevault.wire.http2.client import ClientConnection
from platevault.wire.link import TlsLink


def open_backup(repository: Repository, trust: Trust, headers: Mapping[str, str], namespace: Namespace, snapshot: SnapshotName) -> Session:
    """A session that writes `snapshot`. headers: the proof of identity. Raises as `open_session_link` does."""
    query = _query(repository, namespace, snapshot) | {"benchmark": "false", "debug": "false"}
    return _session(open_session_link(repository, trust, BACKUP_PROTOCOL, query, headers))


def open_reader(repository: Repository, trust: Trust, headers: Mapping[str, str], namespace: Namespace, snapshot: SnapshotName) -> Session:
    """A session that reads `snapshot`."""
    query = _query(repository, namespace, snapshot) | {"debug": "false"}
    return _session(open_session_link(repository, trust, READER_PROTOCOL, query, headers))


def _session(link: TlsLink) -> Session:
    try:
        return Session(ClientConnection(link))
    except BaseException:
        link.close()
        raise


def _query(repository: Repository, namespace: Namespace, snapshot: SnapshotName) -> dict[str, object]:
    query: dict[str, object] = {
        "store": repository.store,
        "backup-type": snapshot.group.type.value,
        "backup-id": snapshot.group.id,
        "backup-time": snapshot.time,
    }
    if str(namespace):
        query["ns"] = str(namespace)
    return query
