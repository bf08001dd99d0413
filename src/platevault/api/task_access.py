"""Who may read which task.

Source: spec rest-api §7.5: own tasks, those of own tokens, all with Sys.Audit; and maintenance of a datastore by those who could have
started it.
"""

from __future__ import annotations

from platevault.api.content_access import MODIFY, VERIFY
from platevault.api.route import Call
from platevault.config.identifiers import user_of
from platevault.errors import Invalid
from platevault.formats.names import ROOT, Namespace
from platevault.services.access import datastore_path
from platevault.services.task_rows import TaskRow

# Worker types whose id begins with a datastore: the privilege that allows to start them.
STORE_TASKS = {"verificationjob": VERIFY, "garbage_collection": MODIFY, "prune": MODIFY, "prunejob": MODIFY}


def may_read(call: Call, row: TaskRow) -> bool:
    """Whether the caller may see the task and its log."""
    if call.auth_id in (row.auth_id, user_of(row.auth_id)):
        return True
    if call.app.access.has_any(call.auth_id, "/system/tasks", ["Sys.Audit"]):
        return True
    privilege = STORE_TASKS.get(row.worker_type)
    if privilege is None or not row.worker_id:
        return False
    return call.app.access.has_any(call.auth_id, _place(row.worker_type, row.worker_id), [privilege])


def _place(worker_type: str, worker_id: str) -> str:
    """The ACL path that a worker id names: STORE, STORE:NS or STORE:NS:GROUP; of a verification job STORE:JOB."""
    store, ns, *_ = [*worker_id.split(":"), ""]
    if worker_type == "verificationjob":
        ns = ""
    try:
        return datastore_path(store, Namespace.parse(ns) if ns else ROOT)
    except Invalid:
        return datastore_path(store)
