"""The upgrade of a connection to a backup session. Source: spec wire-protocol §2.2-§2.5."""

from __future__ import annotations

from platevault.api.content_access import BACKUP, require
from platevault.api.content_params import NsParams
from platevault.api.route import Call, Kind, Route, Taken
from platevault.api.session.backup_endpoints import TABLE
from platevault.api.session.takeover import Opened, check_upgrade, take_over
from platevault.api.statuses import WithStatus
from platevault.api.types import BackupId, BackupTypeText, Epoch
from platevault.formats.names import SnapshotName
from platevault.services.backup_opening import NoNamespace, open_backup
from platevault.services.backup_session import BackupSession
from platevault.services.session_request import SessionRequest
from platevault.services.sessions import StopSwitch

PROTOCOL = "proxmox-backup-protocol-v1"


class BackupParams(NsParams):
    backup_type: BackupTypeText
    backup_id: BackupId
    backup_time: Epoch
    debug: bool = False
    benchmark: bool = False
    no_cache: bool = False


async def backup(call: Call, p: BackupParams) -> Taken:
    """Switch to the backup protocol: write one snapshot."""
    return await take_over(call, PROTOCOL, lambda: _open(call, p))


def _open(call: Call, p: BackupParams) -> Opened[BackupSession]:
    """The checks before the 101, in the order of the reference server."""
    require(call, p.store, p.ns, BACKUP)
    call.app.datastores.get(p.store, "write")
    check_upgrade(call, PROTOCOL)
    request = SessionRequest(
        store=p.store,
        ns=p.ns,
        snapshot=SnapshotName.make(p.backup_type, p.backup_id, p.backup_time),
        auth_id=call.auth_id,
        client=call.client_address,
        debug=p.debug,
        benchmark=p.benchmark,
    )
    switch = StopSwitch()
    try:
        session = open_backup(call.app.datastores, call.app.tasks, call.app.clock, request, on_abort=switch.stop)
    except NoNamespace as error:
        raise WithStatus(404, error.message) from error
    return Opened(session, TABLE, session.memory, switch, f"backup {request.group_id}", p.debug)


ROUTES = [Route("GET", "/backup", backup, BackupParams, kind=Kind.UPGRADE, priority="P0")]
