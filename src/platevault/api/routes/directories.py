"""Directory indexes: what is below a path, for those who browse the API."""

from __future__ import annotations

from collections.abc import Iterable

from platevault.api.content_params import NodeParams, StoreParams
from platevault.api.job_answers import JobParams
from platevault.api.parameters import NoParams, Params
from platevault.api.route import Call, Route
from platevault.api.router import Router
from platevault.api.routes.tasks import TaskParams

PLACES: dict[str, type[Params]] = {
    "/": NoParams,
    "/access": NoParams,
    "/admin": NoParams,
    "/admin/datastore/{store}": StoreParams,
    "/admin/prune/{id}": JobParams,
    "/admin/verify/{id}": JobParams,
    "/config": NoParams,
    "/config/access": NoParams,
    "/config/notifications": NoParams,
    "/nodes/{node}": NodeParams,
    "/nodes/{node}/apt": NodeParams,
    "/nodes/{node}/certificates": NodeParams,
    "/nodes/{node}/disks": NodeParams,
    "/nodes/{node}/tasks/{upid}": TaskParams,
    "/status": NoParams,
}


def directory_routes(routes: Iterable[Route]) -> list[Route]:
    """An index for each of the places, over the routes given."""
    router = Router(routes)
    return [_directory(path, params, router.below(path)) for path, params in PLACES.items()]


def _directory(path: str, params: type[Params], names: list[str]) -> Route:
    listed = [{"subdir": name} for name in names]

    def index(call: Call, p: Params) -> list[dict[str, str]]:
        """What is below this path."""
        return listed

    return Route("GET", path, index, params)
