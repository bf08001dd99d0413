"""What monitoring asks about a machine besides its figures: services, updates, disks, subscription.

Services and packages are left to the machine's own tools, so their lists are empty: this server manages none of them.
"""

from __future__ import annotations

from typing import Any, Literal

from platevault.api.access_rules import needs
from platevault.api.content_params import NodeParams
from platevault.api.route import Call, Route
from platevault.services.disks import list_disks

NO_SUBSCRIPTION = {"status": "notfound", "message": "Platevault needs no subscription"}


class DiskFilter(NodeParams):
    include_partitions: bool = False
    skipsmart: bool = False
    usage_type: Literal["unused", "mounted", "lvm", "zfs", "devicemapper", "partitions", "filesystem"] | None = None


def services(call: Call, p: NodeParams) -> list[dict[str, Any]]:
    """System services that can be managed through this server: none."""
    return []


def updates(call: Call, p: NodeParams) -> list[dict[str, Any]]:
    """Package updates that this server knows of: none, it does not manage packages."""
    return []


def disks(call: Call, p: DiskFilter) -> list[dict[str, Any]]:
    """The disks of the machine. Their health is not asked for: that needs rights which a backup server should not have."""
    return [disk.record(with_partitions=p.include_partitions) for disk in list_disks() if p.usage_type in (None, disk.used)]


def subscription(call: Call, p: NodeParams) -> dict[str, str]:
    """There is none, and none is needed."""
    if call.app.access.has_any(call.auth_id, "/", ["Sys.Audit"]):
        return {**NO_SUBSCRIPTION, "serverid": call.app.instance_id.upper()}
    return NO_SUBSCRIPTION


_NODE = "/nodes/{node}"

ROUTES = [
    Route("GET", _NODE + "/services", services, NodeParams, access=needs("/system/services", "Sys.Audit"), priority="P0"),
    Route("GET", _NODE + "/apt/update", updates, NodeParams, access=needs("/", "Sys.Audit"), priority="P0"),
    Route("GET", _NODE + "/disks/list", disks, DiskFilter, access=needs("/system/disks", "Sys.Audit"), priority="P0"),
    Route("GET", _NODE + "/subscription", subscription, NodeParams, priority="P0"),
]
