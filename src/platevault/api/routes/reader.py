"""The upgrade of a connection to a reader session. Source: spec wire-protocol §2.6."""

from __future__ import annotations

from platevault.api.content_access import BACKUP, READ, has_any
from platevault.api.content_params import SnapshotParams
from platevault.api.route import Call, Kind, Route, Taken
from platevault.api.session.reader_endpoints import TABLE
from platevault.api.session.takeover import Opened, check_upgrade, take_over
from platevault.errors import Invalid
from platevault.services.body_memory import BodyMemory
from platevault.services.read_session import ReadSession, open_reader
from platevault.services.session_request import SessionRequest
from platevault.services.sessions import StopSwitch

PROTOCOL = "proxmox-backup-reader-protocol-v1"


class ReaderParams(SnapshotParams):
    debug: bool = False


async def reader(call: Call, p: ReaderParams) -> Taken:
    """Switch to the reader protocol: read one snapshot."""
    return await take_over(call, PROTOCOL, lambda: _open(call, p))


def _open(call: Call, p: ReaderParams) -> Opened[ReadSession]:
    """The checks before the 101, in the order of the reference server; there a missing privilege is 400, not 403."""
    reads_all = has_any(call, p.store, p.ns, READ)
    if not reads_all and not has_any(call, p.store, p.ns, BACKUP):
        raise Invalid(f"no permission to read from datastore '{p.store}'")
    call.app.datastores.get(p.store, "read")
    check_upgrade(call, PROTOCOL)
    request = SessionRequest(p.store, p.ns, p.snapshot, call.auth_id, call.client_address, p.debug)
    switch = StopSwitch()
    session = open_reader(call.app.datastores, call.app.tasks, request, owned_only=not reads_all, on_abort=switch.stop)
    return Opened(session, TABLE, BodyMemory(), switch, f"reader {request.snapshot_id}", p.debug)


ROUTES = [Route("GET", "/reader", reader, ReaderParams, kind=Kind.UPGRADE, priority="P0")]
