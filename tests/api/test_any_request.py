"""Whatever is sent to whatever endpoint, the answer is one that somebody thought of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.asgi import JSON, encode
from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.api.route import Kind, Route
from platevault.api.table import ROUTES

# These make or remove directories wherever they are told to.
LEFT_OUT = {("POST", "/config/datastore"), ("DELETE", "/config/datastore/{name}")}
CALLED = [route for route in ROUTES if route.kind is not Kind.UPGRADE and (route.method, route.path) not in LEFT_OUT]
PLACES = {
    "store": [STORE, "none"],
    "name": [STORE, "none"],
    "node": ["localhost"],
    "id": ["job", "none"],
    "userid": ["alice@pbs", "none@pbs"],
    "token-name": ["tok"],
    "upid": ["UPID:testnode:00000001:00000001:00000001:5F5E1000:verify:none:root@pam:"],
}
WORDS = st.sampled_from(
    [
        "",
        "host",
        "a",
        "root@pam",
        "alice@pbs",
        "daily",
        "root.pxar.didx",
        "owner",
        "..",
        "/",
        "a/b",
        "\x00",
        "\ud800",
        "ä",
        "x" * 5000,
        "1",
        "on",
        STORE,
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 7, NOON, 2**31, 2**63, 10**30, -(2**70)])
SINGLE = WORDS | NUMBERS | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = SINGLE | st.lists(SINGLE, max_size=3) | st.dictionaries(WORDS, SINGLE, max_size=2)


@pytest.fixture(scope="module")
def filled(shared_site: Site) -> Site:
    backup(shared_site.store, snapshot("host/a", NOON), owner="alice@pbs")
    shared_site.user("alice", {"/": "Admin"})
    return shared_site


def names(route: Route) -> list[str]:
    """What an endpoint takes besides the placeholders of its path."""
    fields = [field.alias or name for name, field in route.params.model_fields.items()]
    return [name for name in fields if f"{{{name}}}" not in route.path]


def target(route: Route, number: int) -> str:
    path = route.path
    for name, values in PLACES.items():
        path = path.replace(f"{{{name}}}", values[number % len(values)])
    return path.replace(":", "%3A")


def requests(route: Route) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the parameters; half of them with values that fit, so that handlers are reached."""
    known = names(route) or ["x"]
    return st.dictionaries(st.sampled_from([*known, *known, "unknown"]), VALUES, max_size=6)


FITTING = {"backup-type": "host", "backup-id": "a", "backup-time": NOON, "file-name": "root.pxar.didx", "filepath": "/"}


@pytest.mark.parametrize("route", CALLED, ids=lambda route: f"{route.method} {route.path}")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_fails_in_an_unforeseen_way(filled: Site, route: Route, data: st.DataObject) -> None:
    values = data.draw(requests(route))
    fits = {name: FITTING[name] for name in names(route) if name in FITTING} if data.draw(st.booleans()) else {}
    number = data.draw(st.integers(0, 1))
    body = {**fits, **values}
    headers = dict(filled.session("alice@pbs").headers)
    path = f"/api2/json{target(route, number)}"
    as_json = filled.send(route.method, path, {**headers, "content-type": JSON}, json.dumps(body).encode())
    text = encode({name: value for name, value in body.items() if not isinstance(value, dict)}, errors="surrogatepass")
    as_query = filled.send(route.method, f"{path}?{text[:3000]}", headers)
    for answer in (as_json, as_query):
        assert answer.status in (200, 400, 401, 403, 404, 414, 501), answer.text
        assert "internal error" not in answer.text
        answer.body.decode()
