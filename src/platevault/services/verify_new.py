"""Verification of a snapshot that was just written, where the datastore asks for it (`verify-new`). Source: spec wire-protocol §3.12."""

from __future__ import annotations

from platevault.clock import Clock
from platevault.services.datastores import Datastores
from platevault.services.session_request import SessionRequest
from platevault.services.tasks import Task, Tasks
from platevault.services.verify import run_verify


def start_verify_new(datastores: Datastores, tasks: Tasks, clock: Clock, request: SessionRequest) -> None:
    """Start the task if the datastore is configured so. Raises what the state database raises."""
    config = datastores.configs.find(request.store)
    if config is None or not config.verify_new:
        return

    def run(task: Task) -> None:
        task.log(f"verifying backup '{request.relative_path}'")
        with datastores.operation(request.store, "read") as store:
            run_verify(store, [(request.ns, request.snapshot)], task, upid=str(task.upid), clock=clock)

    tasks.start("verify", request.snapshot_id, request.auth_id, run)
