"""Composition root: makes every service once, puts them together, runs and stops them. The only module that knows all rooms."""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from platevault.api.application import Application
from platevault.api.envelope import AUTHENTICATION_DELAY_S
from platevault.api.router import Router
from platevault.api.services import Services
from platevault.api.table import ROUTES
from platevault.clock import Clock
from platevault.config.acl import Acl
from platevault.config.database import Database, meta_value, open_database
from platevault.config.datastores import DatastoreConfigs
from platevault.config.secrets import Secrets
from platevault.config.settings import Settings
from platevault.config.users import Tokens, Users
from platevault.services import certificate
from platevault.services.access import Access
from platevault.services.accounts import Accounts
from platevault.services.auth import Auth
from platevault.services.certificate import Certificate
from platevault.services.datastores import Datastores
from platevault.services.jobs import Jobs
from platevault.services.node_status import NodeSampler
from platevault.services.passwords import Passwords
from platevault.services.sampler import Sampler
from platevault.services.series import Series
from platevault.services.sessions import Sessions
from platevault.services.tasks import Tasks
from platevault.services.usage import Usage
from platevault.wire.certificates import CertificateFiles
from platevault.wire.listener import Listener, open_port

TASK_ABORT_TIMEOUT_S = 10.0
TASK_POLL_S = 0.1
SERIES_FILE = "figures.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class App:
    """One server process. `serve` runs it in an event loop; without that, the services can be used as they are."""

    services: Services
    application: Application
    sampler: Sampler

    async def serve(self, listening: socket.socket, stop: asyncio.Event, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set, then end running sessions and tasks within bounded time. ready: called once requests are taken."""
        services = self.services
        contexts = CertificateFiles(services.certificate.certificate_path, services.certificate.key_path)
        limit = services.settings.max_connections
        listener = Listener(self.application, listening, contexts, clock=services.clock, max_connections=limit)
        await listener.start()
        self.sampler.start()
        ready()
        await stop.wait()
        drain_s = services.settings.drain_timeout_s
        await asyncio.gather(listener.stop(drain_s), asyncio.to_thread(services.sessions.drain, drain_s))
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        """Ask running tasks to stop: garbage collection, verification and prune leave a sound store wherever they are stopped."""
        tasks = self.services.tasks
        for task in tasks.running():
            task.request_abort()
        until = self.services.clock.monotonic() + TASK_ABORT_TIMEOUT_S
        while tasks.running() and self.services.clock.monotonic() < until:
            await asyncio.sleep(TASK_POLL_S)

    def close(self) -> None:
        """Write what is in memory and let go of everything."""
        self.sampler.stop()
        self.application.close()
        self.services.tasks.close()
        self.services.datastores.close()
        self.services.database.close()


def build(settings: Settings, clock: Clock) -> App:
    """Open the state and make the server; nothing listens yet. Raises Invalid or Unavailable for a state that cannot be used."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.database)
    try:
        services = _services(settings, clock, database)
    except BaseException:
        database.close()
        raise
    factor = settings.login_delay_s / AUTHENTICATION_DELAY_S
    application = Application(services, Router(ROUTES), threads=settings.worker_threads, delay_factor=factor)
    return App(services, application, Sampler(clock, services.node, services.series, services.datastores))


def _services(settings: Settings, clock: Clock, database: Database) -> Services:
    users, tokens, secrets, acl = Users(database), Tokens(database), Secrets(database), Acl(database)
    auth = Auth(database, users, tokens, secrets, Passwords(secrets), clock)
    tasks, series = Tasks(database, clock, settings.node_name), Series(settings.state_dir / SERIES_FILE)
    return Services(
        instance_id=meta_value(database, "instance-id", uuid.uuid4().hex),
        settings=settings,
        clock=clock,
        database=database,
        auth=auth,
        access=Access(acl, users, tokens, clock),
        accounts=Accounts(users, tokens, acl, auth),
        tasks=tasks,
        jobs=Jobs(database, tasks, clock),
        datastores=Datastores(DatastoreConfigs(database), locks_dir=settings.locks, clock=clock),
        certificate=_certificate(settings, clock),
        node=NodeSampler(),
        series=series,
        usage=Usage(series, clock),
        sessions=Sessions(clock),
    )


def _certificate(settings: Settings, clock: Clock) -> Certificate:
    if settings.certificate_file is not None:
        return certificate.load(settings.certificate_file, settings.key_file or settings.certificate_file)
    names = [socket.gethostname(), settings.node_name, "localhost", "127.0.0.1", "::1"]
    return certificate.ensure(settings.state_dir, clock=clock, names=names)


def listen(settings: Settings) -> socket.socket:
    """The listening socket of these settings. Raises CannotListen."""
    return open_port(settings.host, settings.port)
