"""Sessions recorded between real clients and a Proxmox Backup Server get the same answers from us.

In one test, because later sessions build on what earlier ones stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from kit.recorded_sessions import Played, names, play
from kit.session_server import SessionServer
from platevault.formats.names import Namespace

STORE = "wire"


def identities(server: SessionServer) -> dict[str, Mapping[str, str]]:
    """Those of the recorded server: a token that may write to one datastore, and an administrator."""
    roles = {f"/datastore/{STORE}": "DatastoreBackup"}
    bob = server.site.token(server.site.user("bob", roles), "pve", roles)
    admin = server.site.user("admin", {"/": "Admin"})
    return {"bob@pbs!pve": bob.headers, "admin@pbs": admin.headers}


def test_recorded_sessions(server: SessionServer) -> None:
    store = server.site.add_store(STORE)
    server.hurry(STORE)
    for text in ("a", "a/b", "pushed"):
        store.create_namespace(Namespace.parse(text))
    auth = identities(server)
    total = Played()
    for name in names():
        played = play(server, name, auth)
        total.sessions += played.sessions
        total.refused += played.refused
        total.requests += played.requests
        total.differences += played.differences
    assert total.differences == []
    assert (total.sessions, total.refused, total.requests) == (49, 4, 417)
