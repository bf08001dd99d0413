"""What handlers are given to work with: every service of the server, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.clock import Clock
from platevault.config.database import Database
from platevault.config.settings import Settings
from platevault.services.access import Access
from platevault.services.accounts import Accounts
from platevault.services.auth import Auth
from platevault.services.certificate import Certificate
from platevault.services.datastores import Datastores
from platevault.services.jobs import Jobs
from platevault.services.node_status import NodeSampler
from platevault.services.series import Series
from platevault.services.sessions import Sessions
from platevault.services.tasks import Tasks
from platevault.services.usage import Usage


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one server process. All are safe to use from several threads.

    instance_id: 32 hex digits that stay for as long as the state database does.
    """

    instance_id: str
    settings: Settings
    clock: Clock
    database: Database
    auth: Auth
    access: Access
    accounts: Accounts
    tasks: Tasks
    jobs: Jobs
    datastores: Datastores
    certificate: Certificate
    node: NodeSampler
    series: Series
    usage: Usage
    sessions: Sessions
