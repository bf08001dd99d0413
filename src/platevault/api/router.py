"""Finds the route of a method and path in a tree of path components.

The time depends on the depth of a path, not on the number of routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from platevault.api.route import Route


@dataclass(slots=True)
class _Node:
    """One place in the tree. placeholder: name of the component that may be anything, and what is below it."""

    children: dict[str, _Node] = field(default_factory=dict)
    placeholder: tuple[str, _Node] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """The tree of all routes; unchanging once built."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, components: tuple[str, ...]) -> tuple[Route | None, dict[str, str]]:
        """The route, and the values of its placeholders; None when there is no such path or it has no such method."""
        node: _Node | None = self._root
        place: dict[str, str] = {}
        for component in components:
            assert node is not None
            below = node.children.get(component)
            if below is None and node.placeholder is not None:
                name, below = node.placeholder
                place[name] = component
            if below is None:
                return None, {}
            node = below
        return (node.routes.get(method) if node else None), place

    def below(self, path: str) -> list[str]:
        """The names of the components that may follow a path of the table, without placeholders, sorted."""
        node = self._root
        for component in _components(path):
            node = _step(node, component)
        return sorted(node.children)

    def _add(self, route: Route) -> None:
        node = self._root
        for component in _components(route.path):
            node = _step(node, component)
        if route.method in node.routes:
            raise ValueError(f"two routes for {route.method} {route.path}")
        node.routes[route.method] = route


def _components(path: str) -> Iterator[str]:
    return (component for component in path.split("/") if component)


def _step(node: _Node, component: str) -> _Node:
    """The node below for one component of a route's path, made when it is missing."""
    if not component.startswith("{"):
        return node.children.setdefault(component, _Node())
    name = component[1:-1]
    if node.placeholder is None:
        node.placeholder = (name, _Node())
    if node.placeholder[0] != name:
        raise ValueError(f"placeholder {{{name}}} stands where {{{node.placeholder[0]}}} does in another route")
    return node.placeholder[1]
