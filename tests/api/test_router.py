"""Finding routes in the tree of path components."""

from __future__ import annotations

import pytest

from platevault.api.route import Call, Method, Route
from platevault.api.router import Router


def nothing(call: Call, p: object) -> None:
    """Nothing."""


def route(path: str, method: Method = "GET") -> Route:
    return Route(method, path, nothing)


ROUTES = [
    route("/"),
    route("/version"),
    route("/a/{store}"),
    route("/a/{store}/x"),
    route("/a/fixed/x"),
    route("/a/{store}/{id}/run", "POST"),
]
ROUTER = Router(ROUTES)


@pytest.mark.parametrize(
    ("method", "components", "path", "place"),
    [
        ("GET", (), "/", {}),
        ("GET", ("version",), "/version", {}),
        ("GET", ("a", "s1"), "/a/{store}", {"store": "s1"}),
        ("GET", ("a", "s1", "x"), "/a/{store}/x", {"store": "s1"}),
        ("GET", ("a", "fixed", "x"), "/a/fixed/x", {}),
        ("POST", ("a", "s1", "j1", "run"), "/a/{store}/{id}/run", {"store": "s1", "id": "j1"}),
    ],
)
def test_found(method: str, components: tuple[str, ...], path: str, place: dict[str, str]) -> None:
    found, where = ROUTER.find(method, components)
    assert found is not None
    assert (found.path, where) == (path, place)


@pytest.mark.parametrize(
    ("method", "components"),
    [("POST", ("version",)), ("GET", ("none",)), ("GET", ("a",)), ("GET", ("version", "x")), ("GET", ("a", "s", "j", "run")), ("HEAD", ())],
)
def test_not_found(method: str, components: tuple[str, ...]) -> None:
    assert ROUTER.find(method, components)[0] is None


def test_two_routes_for_one_place_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Router([route("/version"), route("/version")])
    with pytest.raises(ValueError, match="placeholder"):
        Router([route("/a/{store}"), route("/a/{name}/x")])


def test_what_is_below() -> None:
    assert ROUTER.below("/") == ["a", "version"]
    assert ROUTER.below("/a/{store}") == ["x"]
