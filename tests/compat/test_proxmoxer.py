"""proxmoxer, the library most scripts use (spec clients §8): by token and by password, with TLS checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kit.live_server import PASSWORD, STORE, LiveServer

proxmoxer = pytest.importorskip("proxmoxer", reason="proxmoxer is not installed")
TIMES = [1_700_000_000, 1_700_003_600]
Login = Callable[[LiveServer, str], Any]


def by_token(server: LiveServer, authority: str) -> Any:
    user, _, name = server.token_id.partition("!")
    return proxmoxer.ProxmoxAPI(
        "127.0.0.1", port=server.port, user=user, token_name=name, token_value=server.token, verify_ssl=authority, service="PBS"
    )


def by_password(server: LiveServer, authority: str) -> Any:
    return proxmoxer.ProxmoxAPI("127.0.0.1", port=server.port, user="admin@pbs", password=PASSWORD, verify_ssl=authority, service="PBS")


@pytest.fixture(params=[by_token, by_password], ids=["token", "password"])
def api(request: pytest.FixtureRequest, server: LiveServer, authority: str) -> Any:
    return request.param(server, authority)


def test_reading(api: Any) -> None:
    assert set(api.version.get()) == {"version", "release", "repoid"}
    store = api.admin.datastore(STORE)
    assert STORE in [item["store"] for item in api.admin.datastore.get()]
    assert store.status.get()["total"] > 0
    assert [item["backup-id"] for item in store.groups.get()] == ["elsa"]
    assert sorted(item["backup-time"] for item in store.snapshots.get(ns="")) == TIMES
    assert [item["backup-time"] for item in store.snapshots.get(ns="office")] == TIMES[:1]
    assert [item["ns"] for item in store.namespace.get()] == ["", "office"]
    files = store.files.get(**{"backup-type": "host", "backup-id": "elsa", "backup-time": TIMES[0]})
    assert [file["filename"] for file in files] == ["disk.img.fidx", "index.json.blob"]
    for node in ("localhost", "pbs"):
        assert len(api.nodes(node).status.get()["loadavg"]) == 3


def test_writing_with_forms_and_queries(api: Any) -> None:
    store, snapshot = api.admin.datastore(STORE), {"backup-type": "host", "backup-id": "elsa", "backup-time": TIMES[0]}
    store.notes.put(notes="first line\nsecond ä", **snapshot)
    assert store.notes.get(**snapshot) == "first line\nsecond ä"
    store.protected.put(protected=1, **snapshot)
    assert store.protected.get(**snapshot) is True
    store.protected.put(protected=0, **snapshot)
    store.namespace.post(name="lab")
    assert "lab" in [item["ns"] for item in store.namespace.get()]
    store.namespace.delete(ns="lab")
    kept = store.prune.post(**{"backup-type": "host", "backup-id": "elsa", "keep-last": 1, "dry-run": 1})
    assert sorted((item["backup-time"], item["keep"]) for item in kept) == [(TIMES[0], False), (TIMES[1], True)]


def test_a_task_from_its_start_to_its_log(api: Any, server: LiveServer) -> None:
    """proxmoxer puts the UPID into the path as it is, colons included."""
    upid = api.admin.datastore(STORE).gc.post()
    assert upid.startswith("UPID:")
    server.until_idle()
    task = api.nodes("localhost").tasks(upid)
    assert task.status.get()["exitstatus"] == "OK"
    assert task.log.get()[0]["n"] == 1
    assert upid in [item["upid"] for item in api.nodes.localhost.tasks.get(limit=50)]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda api: api.admin.datastore("nowhere").status.get(), 400),
        (lambda api: api.no.such.path.get(), 404),
        (lambda api: api.admin.datastore(STORE).snapshots.get(unknown="x"), 400),
        (lambda api: api.admin.datastore(STORE).snapshots.delete(**{"backup-type": "host", "backup-id": "none", "backup-time": 5}), 400),
    ],
)
def test_errors_are_exceptions_of_the_library(api: Any, call: Callable[[Any], object], status: int) -> None:
    with pytest.raises(proxmoxer.ResourceException) as caught:
        call(api)
    assert caught.value.status_code == status
    assert caught.value.content


def test_refused_credentials(server: LiveServer, authority: str) -> None:
    with pytest.raises(proxmoxer.backends.https.AuthenticationError):
        proxmoxer.ProxmoxAPI("127.0.0.1", port=server.port, user="admin@pbs", password="wrong", verify_ssl=authority, service="PBS")
    api = proxmoxer.ProxmoxAPI(
        "127.0.0.1", port=server.port, user="admin@pbs", token_name="conf", token_value="wrong", verify_ssl=authority, service="PBS"
    )
    with pytest.raises(proxmoxer.ResourceException, match="401"):
        api.version.get()
