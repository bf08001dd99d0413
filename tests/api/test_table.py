"""The route table as a whole: what must be in it, and that every entry holds what it declares."""

from __future__ import annotations

import re

import pytest

from kit.asgi import Answer
from kit.site import Site
from platevault.api.access_rules import Either, OneOf, Superuser
from platevault.api.route import Kind, Route
from platevault.api.table import ROUTES

# Endpoints that virtualisation hosts, backup clients and monitoring call (spec rest-api §10, P0, without those inside of sessions).
P0 = """
GET /version
POST /access/ticket
GET /access/users
GET /admin/datastore
POST /admin/datastore/{store}/change-owner
GET /admin/datastore/{store}/download
GET /admin/datastore/{store}/files
GET /admin/datastore/{store}/gc
POST /admin/datastore/{store}/gc
GET /admin/datastore/{store}/groups
DELETE /admin/datastore/{store}/groups
GET /admin/datastore/{store}/namespace
POST /admin/datastore/{store}/namespace
DELETE /admin/datastore/{store}/namespace
GET /admin/datastore/{store}/notes
PUT /admin/datastore/{store}/notes
GET /admin/datastore/{store}/protected
PUT /admin/datastore/{store}/protected
POST /admin/datastore/{store}/prune
GET /admin/datastore/{store}/rrd
GET /admin/datastore/{store}/snapshots
DELETE /admin/datastore/{store}/snapshots
GET /admin/datastore/{store}/status
POST /admin/datastore/{store}/upload-backup-log
POST /admin/datastore/{store}/verify
GET /admin/gc
GET /admin/gc/{store}
GET /admin/prune
GET /admin/sync
GET /admin/verify
GET /backup
GET /reader
GET /status/datastore-usage
GET /nodes/{node}/identity
GET /nodes/{node}/status
GET /nodes/{node}/rrd
GET /nodes/{node}/time
GET /nodes/{node}/tasks
DELETE /nodes/{node}/tasks/{upid}
GET /nodes/{node}/tasks/{upid}/status
GET /nodes/{node}/tasks/{upid}/log
GET /nodes/{node}/services
GET /nodes/{node}/subscription
GET /nodes/{node}/apt/update
GET /nodes/{node}/disks/list
"""
PUBLIC = {"POST /access/ticket", "DELETE /access/ticket", "GET /ping", "GET /access/domains"}
SAMPLES = {
    "store": "store",
    "name": "store",
    "node": "localhost",
    "id": "job",
    "userid": "somebody@pbs",
    "token-name": "tok",
    "upid": "UPID:testnode:00000001:00000001:00000001:5F5E1000:verify:none:root@pam:",
}


def label(route: Route) -> str:
    return f"{route.method} {route.path}"


def call(site: Site, route: Route, headers: dict[str, str], output: str = "json") -> Answer:
    """A call without parameters besides those of the path."""
    path = re.sub(r"\{([a-z-]+)\}", lambda found: SAMPLES[found[1]], route.path)
    return site.send(route.method, f"/api2/{output}{path}".replace(":", "%3A"), headers)


def test_what_hosts_clients_and_monitoring_need_is_there() -> None:
    assert sorted(P0.split("\n")[1:-1]) == sorted(label(route) for route in ROUTES if route.priority == "P0")


def test_every_endpoint_says_what_it_does() -> None:
    assert [label(route) for route in ROUTES if not route.summary] == []


def test_every_placeholder_is_a_parameter() -> None:
    for route in ROUTES:
        aliases = {field.alias for field in route.params.model_fields.values()}
        if route.params.model_fields:
            assert set(re.findall(r"\{([a-z-]+)\}", route.path)) <= aliases, label(route)


def test_what_is_public_is_listed() -> None:
    assert {label(route) for route in ROUTES if route.is_public} == PUBLIC


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.is_public], ids=label)
def test_everything_else_needs_credentials(shared_site: Site, route: Route) -> None:
    assert call(shared_site, route, {}).status == 401


@pytest.mark.parametrize("route", [route for route in ROUTES if isinstance(route.access, (OneOf, Either, Superuser))], ids=label)
def test_declared_permissions_are_checked_first(shared_site: Site, route: Route) -> None:
    """403 whatever the parameters are: nothing is told to who may not ask."""
    if shared_site.services.accounts.users.find("nobody@pbs") is None:
        shared_site.user("nobody")
    answer = call(shared_site, route, dict(shared_site.session("nobody@pbs").headers))
    assert (answer.status, answer.text) == (403, "permission check failed")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.kind is not Kind.UPGRADE], ids=label)
def test_no_endpoint_fails_in_an_unforeseen_way(shared_site: Site, route: Route) -> None:
    """Called by the superuser without parameters, each has an answer or a reason."""
    for output in ("json", "extjs"):
        answer = call(shared_site, route, dict(shared_site.root.headers), output)
        assert answer.status in (200, 400, 401, 404), answer.text
        assert "internal error" not in answer.text
