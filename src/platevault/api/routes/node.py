"""The machine: identity, status, curves, time, certificate."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from platevault.api.access_rules import SUPERUSER, needs
from platevault.api.content_params import NodeParams
from platevault.api.parameters import NoParams
from platevault.api.route import Call, Reply, Route
from platevault.api.routes.datastores import CurveParams
from platevault.config.sections import generic_section
from platevault.services import node_status
from platevault.services.local_zone import local_zone, zone_name
from platevault.services.sampler import HOST_SERIES


class NodeCurveParams(NodeParams, CurveParams):
    pass


def list_nodes(call: Call, p: NoParams) -> list[dict[str, str]]:
    """The one node, by its host name. Everybody else uses `localhost`, which always works."""
    return [{"node": call.app.settings.node_name}]


def identity(call: Call, p: NodeParams) -> dict[str, str]:
    """The id of this installation, by which clients know it again."""
    return {"pbs-instance-id": call.app.instance_id}


def status(call: Call, p: NodeParams) -> dict[str, Any]:
    """Load, memory, kernel and fingerprint of the machine."""
    return node_status.status(call.app.node, call.app.certificate.fingerprint)


def curves(call: Call, p: NodeCurveParams) -> list[dict[str, float]]:
    """Figures of the machine over time; a step without samples has its time alone."""
    return call.app.series.window(HOST_SERIES, p.timeframe, call.app.clock.now(), largest=p.cf == "MAX")


def time_of_day(call: Call, p: NodeParams) -> dict[str, Any]:
    """The time, and the same moved by the offset of the local time zone."""
    now = int(call.app.clock.now())
    offset = datetime.fromtimestamp(now, local_zone()).utcoffset()
    return {"timezone": zone_name(), "time": now, "localtime": now + int(offset.total_seconds() if offset else 0)}


def certificates(call: Call, p: NodeParams) -> list[dict[str, Any]]:
    """The certificate that clients see."""
    return [call.app.certificate.record()]


def config(call: Call, p: NodeParams) -> Reply:
    """Settings of the node. None can be changed yet."""
    return Reply({}, digest=generic_section(call.app.database, "node", label="node").digest())


_NODE = "/nodes/{node}"
_SEE = needs("/system/status", "Sys.Audit")

ROUTES = [
    Route("GET", "/nodes", list_nodes, access=SUPERUSER),
    Route("GET", _NODE + "/identity", identity, NodeParams, priority="P0"),
    Route("GET", _NODE + "/status", status, NodeParams, access=_SEE, priority="P0"),
    Route("GET", _NODE + "/rrd", curves, NodeCurveParams, access=_SEE, priority="P0"),
    Route("GET", _NODE + "/time", time_of_day, NodeParams, priority="P0"),
    Route("GET", _NODE + "/certificates/info", certificates, NodeParams, access=needs("/system/certificates", "Sys.Modify")),
    Route("GET", _NODE + "/config", config, NodeParams, access=needs("/system", "Sys.Audit")),
]
