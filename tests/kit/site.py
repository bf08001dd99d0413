"""The real application on a temporary state directory and datastore, without listening: what the API tests talk to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kit.asgi import Answer, Session, send
from kit.stores import SparseDatastore, sparse_store
from platevault.app import App, build
from platevault.clock import Clock, ManualClock
from platevault.config.acl import AclEntry
from platevault.config.datastores import DatastoreConfig
from platevault.config.settings import Settings
from platevault.config.users import Token, User

STORE = "store"
PASSWORD = "correct horse"
TASK_TIMEOUT_S = 60.0
ZERO_CHUNK_FOLDER = "bb9f"  # garbage collection begins by writing the chunk of zeros


class Site:
    """One server with the datastore `store`. `root` is the superuser; others are made as tests need them."""

    def __init__(self, where: Path, clock: Clock) -> None:
        self.where, self.clock = where, clock
        self.app: App = build(Settings(state_dir=where / "state", locks_dir=where / "locks", login_delay_s=0, node_name="testnode"), clock)
        self.services = self.app.services
        self.store = self.add_store(STORE)
        self.root = self.session("root@pam")
        self.anonymous = Session(self.app.application, "", {})

    def close(self) -> None:
        self.app.close()

    def add_store(self, name: str) -> SparseDatastore:
        """Another datastore, empty; its chunk directories are made when they are needed."""
        store = sparse_store(self.where, name=name, clock=self.clock)
        (self.where / name / ".chunks" / ZERO_CHUNK_FOLDER).mkdir(0o750, exist_ok=True)
        self.services.datastores.configs.put(DatastoreConfig(name, str(self.where / name)))
        return store

    def session(self, user_id: str) -> Session:
        """Requests of a user, by a ticket."""
        login = self.services.auth.new_login(user_id)
        return Session(self.app.application, user_id, {"cookie": f"PBSAuthCookie={login.ticket}", "csrfpreventiontoken": login.csrf_token})

    def user(self, name: str, roles: Mapping[str, str] | None = None, *, password: str | None = None) -> Session:
        """A new user NAME@pbs with these roles by path."""
        user_id = f"{name}@pbs"
        self.services.accounts.create_user(User(user_id), password)
        self.grant(user_id, roles or {})
        return self.session(user_id)

    def token(self, user: Session, name: str = "tok", roles: Mapping[str, str] | None = None) -> Session:
        """A new token of a user."""
        tokenid = f"{user.auth_id}!{name}"
        secret = self.services.accounts.create_token(Token(tokenid))
        self.grant(tokenid, roles or {})
        return Session(self.app.application, tokenid, {"authorization": f"PBSAPIToken={tokenid}:{secret}"})

    def grant(self, auth_id: str, roles: Mapping[str, str]) -> None:
        for path, role in roles.items():
            self.services.accounts.acl.grant(AclEntry(path, auth_id, role))

    def send(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """A request as it stands."""
        return send(self.app.application, method, target, headers or {}, body)

    def ended(self, upid: str) -> str:
        """Wait until the threads of all tasks are over; the exit status of one."""
        for thread in threading.enumerate():
            if thread.name.startswith("task-") and thread.name != "task-log":
                thread.join(TASK_TIMEOUT_S)
        row = self.services.tasks.find(upid)
        assert row is not None
        assert row.status is not None
        return row.status


@contextmanager
def open_site(where: Path, clock: Clock | None = None) -> Iterator[Site]:
    """A site for the length of a block. Its clock stands still unless another one is given."""
    site = Site(where, clock or ManualClock())
    try:
        yield site
    finally:
        site.close()
