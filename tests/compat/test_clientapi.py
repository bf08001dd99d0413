"""clientapi-pbs, generated from the API's schema, which checks every answer against it (spec clients §11).

It is as strict as a client can be. Where the real server's answers do not fit its own schema it is of no use; those calls are named below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kit.live_server import STORE, LiveServer

clientapi = pytest.importorskip("clientapi_pbs", reason="clientapi-pbs is not installed")


@pytest.fixture
def pbs(server: LiveServer, authority: str) -> Any:
    token = f"PBSAPIToken={server.token_id}:{server.token}"
    return clientapi.Pbs(clientapi.Configuration(host=f"{server.url}/api2/json", api_key={"PBSApiToken": token}, ssl_ca_cert=authority))


READS: dict[str, Callable[[Any], Any]] = {
    "version": lambda pbs: pbs.version.get_version(),
    "ping": lambda pbs: pbs.ping.get_ping(),
    "datastores": lambda pbs: pbs.adminDatastore.get_datastore(),
    "namespaces": lambda pbs: pbs.adminDatastore.get_namespace(store=STORE),
    "status": lambda pbs: pbs.adminDatastore.get_status(store=STORE),
    "acl": lambda pbs: pbs.accessAcl.get_acl(),
    "tasks": lambda pbs: pbs.nodesTasks.get_tasks(node="localhost"),
    "node": lambda pbs: pbs.nodesStatus.get_status(node="localhost"),
    "store configuration": lambda pbs: pbs.configDatastore.get_datastore(),
    "gc": lambda pbs: pbs.adminGc.get_gc(),
    "prune jobs": lambda pbs: pbs.adminPrune.get_prune(),
    "verify jobs": lambda pbs: pbs.adminVerify.get_verify(),
}


@pytest.mark.parametrize("name", READS)
def test_answers_fit_the_schema(pbs: Any, name: str) -> None:
    answer = READS[name](pbs)
    assert answer is not None


def test_values_arrive(pbs: Any) -> None:
    assert pbs.version.get_version().data.release.isdigit()
    assert [store.store for store in pbs.adminDatastore.get_datastore().data] == [STORE]
    assert [space.ns for space in pbs.adminDatastore.get_namespace(store=STORE).data] == ["", "office"]
    assert {task.worker_type for task in pbs.nodesTasks.get_tasks(node="localhost").data} >= {"backup"}


# Where the checks are wrong: it takes POSIX character classes for letters, `files` for texts, and knows no empty places in a history.
MISFITS: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "groups": (lambda pbs, how: getattr(pbs.adminDatastore, f"get_groups{how}")(store=STORE), "owner"),
    "snapshots": (lambda pbs, how: getattr(pbs.adminDatastore, f"get_snapshots{how}")(store=STORE), "files"),
    "usage": (lambda pbs, how: getattr(pbs.status, f"get_datastore_usage{how}")(), "history"),
    "users": (lambda pbs, how: getattr(pbs.accessUsers, f"get_users{how}")(), "userid"),
    "roles": (lambda pbs, how: getattr(pbs.access, f"get_roles{how}")(), "comment"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_it_refuses_of_the_real_server_it_refuses_of_us(pbs: Any, name: str) -> None:
    call, field = MISFITS[name]
    with pytest.raises(ValueError, match=field):
        call(pbs, "")
    assert call(pbs, "_without_preload_content").status == 200


def test_refusals_are_its_exceptions(pbs: Any) -> None:
    with pytest.raises(clientapi.exceptions.BadRequestException):
        pbs.adminDatastore.get_status(store="nowhere")
