"""What answers, and whether it answers at all."""

from __future__ import annotations

from platevault.api.access_rules import PUBLIC
from platevault.api.parameters import NoParams
from platevault.api.route import Call, Route

# The level of the API that is served, not our own version: clients switch features on by these numbers (3.2.11 and later: removal
# statistics of push sync). A short commit hash is expected in `repoid`; ours says who really answers.
VERSION = {"version": "4.2", "release": "3", "repoid": "platevault"}


def version(call: Call, p: NoParams) -> dict[str, str]:
    """The version of the API."""
    return VERSION


def ping(call: Call, p: NoParams) -> dict[str, bool]:
    """A sign of life; no login needed."""
    return {"pong": True}


ROUTES = [
    Route("GET", "/version", version, priority="P0"),
    Route("GET", "/ping", ping, access=PUBLIC),
]
