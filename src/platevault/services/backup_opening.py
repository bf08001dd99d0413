"""Opens a backup session: every check before the client is told to go on, in the order of the reference server.

Source: spec wire-protocol §2.5 #9-#19, §3.13. Nobody waits for a lock. After a refusal everything is as it was before; a group that
was made for the session goes again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress

from platevault.clock import Clock
from platevault.config.identifiers import check_auth_id
from platevault.errors import Conflict, Invalid, NotFound, PlatevaultError
from platevault.services.access import is_owner
from platevault.services.backup_session import BackupSession, Held
from platevault.services.datastores import Datastores
from platevault.services.previous_backup import PreviousBackup, find_previous
from platevault.services.session_request import BENCHMARK_GROUP, SessionRequest
from platevault.services.tasks import Tasks
from platevault.services.verify_new import start_verify_new
from platevault.store.datastore import Datastore


class NoNamespace(NotFound):
    """The namespace of a backup does not exist; it is never made on the way. Fact: `ns`."""


class NotOwnGroup(Conflict):
    """The group belongs to somebody else. Facts: `owner`, `auth_id`."""


class BackupTimeTooOld(Conflict):
    """The group has a backup that is as new or newer. Facts: `time`, `previous`."""


def open_backup(
    datastores: Datastores, tasks: Tasks, clock: Clock, request: SessionRequest, *, on_abort: Callable[[], None]
) -> BackupSession:
    """A session with its locks, its snapshot directory and its task.

    on_abort: called from any thread when somebody stops the task. Raises NoNamespace, Invalid, Conflict, NotFound, Corrupt, Unavailable.
    """
    with ExitStack() as undo:
        operation = undo.enter_context(ExitStack())
        store = operation.enter_context(datastores.operation(request.store, "write"))
        _check_place(store, request)
        if not store.group_exists(request.ns, request.group):
            undo.callback(_remove_empty_group, store, request)  # before the locks go in, so that it happens after they are released
        locks = undo.enter_context(ExitStack())
        previous = _take(store, request, locks, undo)
        kind = "benchmark" if request.benchmark else "backup"
        task = tasks.begin(kind, request.group_id, request.auth_id, on_abort)
        session = BackupSession(
            store,
            request,
            previous,
            Held(locks.pop_all(), operation.pop_all()),
            task,
            verify=lambda done: start_verify_new(datastores, tasks, clock, done),
        )
        undo.pop_all()
    task.log(f"starting new {kind} on datastore '{request.store}' from {request.client}: \"{request.relative_path}\"")
    return session


def _check_place(store: Datastore, request: SessionRequest) -> None:
    if not store.namespace_exists(request.ns):
        raise NoNamespace("namespace not found", ns=str(request.ns))
    if (request.group == BENCHMARK_GROUP) != request.benchmark:
        raise Invalid(f"the group '{BENCHMARK_GROUP}' is for benchmarks, and benchmarks are for it only")


def _take(store: Datastore, request: SessionRequest, locks: ExitStack, undo: ExitStack) -> PreviousBackup:
    """Locks and directories. locks: what is to be released; undo: what is to be done if anything goes wrong later."""
    ns, group, snapshot = request.ns, request.group, request.snapshot
    locks.callback(store.lock_group(ns, group).release)
    owner = check_auth_id(store.create_group(ns, group, request.auth_id))
    if not request.benchmark and not is_owner(owner, request.auth_id):
        raise NotOwnGroup(f"backup owner check failed ({request.auth_id} != {owner})", owner=owner, auth_id=request.auth_id)
    locks.callback(store.hold_for_writing().release)
    previous = find_previous(store, ns, group)
    if previous is not None:
        if snapshot.time <= previous.time:
            raise BackupTimeTooOld("backup timestamp is older than last backup.", time=snapshot.time, previous=str(previous))
        locks.callback(store.lock_snapshot(ns, previous, shared=True).release)
        if not store.snapshot_exists(ns, previous):
            raise Conflict(f"previous backup '{previous}' was just removed")
    locks.callback(store.create_snapshot(ns, snapshot).release)
    undo.callback(_remove_snapshot, store, request)
    return PreviousBackup(store, ns, previous)


def _remove_snapshot(store: Datastore, request: SessionRequest) -> None:
    with suppress(PlatevaultError):  # the error that led here is the one to tell
        store.remove_snapshot(request.ns, request.snapshot, force=True, locked=True)


def _remove_empty_group(store: Datastore, request: SessionRequest) -> None:
    with suppress(PlatevaultError):
        store.remove_empty_group(request.ns, request.group)
