"""Collections whose features come later. Nothing can be put into them yet, so their true content is: nothing."""

from __future__ import annotations

from typing import Any

from platevault.api.access_rules import needs
from platevault.api.parameters import NoParams
from platevault.api.route import Call, Reply, Route
from platevault.config.sections import generic_section


def traffic_rules(call: Call, p: NoParams) -> Reply:
    """Traffic control rules."""
    return Reply([], digest=generic_section(call.app.database, "traffic-control", label="traffic control rule").digest())


def metric_servers(call: Call, p: NoParams) -> Reply:
    """Servers that figures are sent to."""
    return Reply([], digest=generic_section(call.app.database, "metric-server", label="metric server").digest())


def notification_targets(call: Call, p: NoParams) -> list[dict[str, Any]]:
    """Where notifications are sent to."""
    return []


ROUTES = [
    Route("GET", "/config/traffic-control", traffic_rules, access=needs("/", "Sys.Modify")),
    Route("GET", "/admin/traffic-control", traffic_rules, access=needs("/", "Sys.Audit")),
    Route("GET", "/admin/metrics", metric_servers, access=needs("/", "Sys.Audit")),
    Route("GET", "/config/notifications/targets", notification_targets, access=needs("/system/notifications", "Sys.Audit")),
]
