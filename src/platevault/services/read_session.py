"""A reader session: one snapshot being read, as a plain object that knows nothing of HTTP.

Source: spec wire-protocol §2.6, §4. It gives out files of the snapshot as they are stored, and the chunks of those indexes that it has
given out. Used by the one thread of its connection; the snapshot cannot be removed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import BinaryIO

from platevault.errors import Forbidden, Invalid, NotFound
from platevault.formats.names import ArchiveKind, archive_kind
from platevault.services.access import is_owner
from platevault.services.datastores import Datastores
from platevault.services.known_chunks import KnownChunks
from platevault.services.session_request import SessionRequest
from platevault.services.tasks import Task, Tasks
from platevault.store.datastore import Datastore, Digest


class ChunkNotAllowed(Forbidden):
    """The chunk is in no index that was downloaded in this session. Fact: `digest`."""


class NoIndex(Invalid):
    """The snapshot has no index of this name. Fact: `name`."""


def open_reader(
    datastores: Datastores, tasks: Tasks, request: SessionRequest, *, owned_only: bool, on_abort: Callable[[], None]
) -> ReadSession:
    """A session with the shared lock on its snapshot and its task.

    owned_only: the group must belong to the caller. on_abort: called from any thread when somebody stops the task.
    Raises NotFound, Invalid, Conflict, Unavailable.
    """
    with ExitStack() as held:
        store = held.enter_context(datastores.operation(request.store, "read"))
        if owned_only:
            _check_owner(store, request)
        _check_exists(store, request)  # first, so that no lock files come up for names that somebody makes up
        held.callback(store.lock_snapshot(request.ns, request.snapshot, shared=True).release)
        _check_exists(store, request)  # again: whoever removed it meanwhile held the lock
        task = tasks.begin("reader", request.snapshot_id, request.auth_id, on_abort)
        session = ReadSession(store, request, held.pop_all(), task)
    task.log(f"starting new backup reader datastore '{request.store}': \"{request.relative_path}\"")
    return session


def _check_owner(store: Datastore, request: SessionRequest) -> None:
    owner = store.owner(request.ns, request.group)
    if not is_owner(owner, request.auth_id):
        raise Invalid(f"backup owner check failed ({request.auth_id} != {owner})", owner=owner, auth_id=request.auth_id)


def _check_exists(store: Datastore, request: SessionRequest) -> None:
    if not store.snapshot_exists(request.ns, request.snapshot):
        raise NotFound(f"snapshot '{request.snapshot}' does not exist in datastore '{request.store}'")


class ReadSession:
    """Made by `open_reader`."""

    def __init__(self, store: Datastore, request: SessionRequest, held: ExitStack, task: Task) -> None:
        self.request, self.task = request, task
        self._store, self._held = store, held
        self._allowed = KnownChunks()

    def open_file(self, name: str) -> BinaryIO:
        """A file of the snapshot; of an index, its chunks are allowed from now on. The caller closes it.

        Raises InvalidName for another extension, NotFound for a missing blob, NoIndex for a missing and Corrupt for a broken index.
        """
        if archive_kind(name) is not ArchiveKind.BLOB:
            self._allow(name)
        file = self._store.open_file(self.request.ns, self.request.snapshot, name)
        self.task.log(f'download "{self.request.relative_path}/{name}"')
        return file

    def _allow(self, name: str) -> None:
        try:
            index = self._store.open_index(self.request.ns, self.request.snapshot, name)
        except NotFound as error:
            raise NoIndex(f"snapshot '{self.request.snapshot}' has no index '{name}'", name=name) from error
        self._allowed.add_index(name, index)
        self.task.log(f"register chunks in '{name}' as downloadable.")

    def open_chunk(self, digest: Digest) -> BinaryIO:
        """A stored chunk, unchecked. The caller closes it. Raises ChunkNotAllowed, NotFound, Unavailable."""
        if digest not in self._allowed:
            raise ChunkNotAllowed(f"download chunk '{digest.hex()}' is not allowed: no downloaded index names it", digest=digest)
        return self._store.chunks.open(digest)

    def end(self, trouble: str | None) -> None:
        """The connection has ended. Never raises. trouble: what broke it, None when the client closed it."""
        self.task.log("reader finished successfully" if trouble is None else f"reader failed: {trouble}")
        self._held.close()
        self.task.finish(trouble)
