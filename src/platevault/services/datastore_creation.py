"""Creation of a datastore as a task, with the prune job that its retention options stand for.

Source: spec administration §8.3. Retention given at creation becomes a job of its own; a datastore has none by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from platevault.config.datastores import DatastoreConfig
from platevault.config.jobs import PruneJob
from platevault.services.datastores import Datastores
from platevault.services.jobs import Jobs
from platevault.services.progress import Progress

MAX_JOB_ID = 32
DEFAULT_SCHEDULE = "daily"


def run_create(
    datastores: Datastores, jobs: Jobs, config: DatastoreConfig, task: Progress, *, reuse: bool, retention: Mapping[str, Any]
) -> None:
    """Make or attach the directory, configure it, and add the prune job when there is a retention.

    retention: fields `keep_…` of a PruneJob, and `prune_schedule`. Raises what `Datastores.create` raises; then there is no datastore.
    """
    task.log(f"{'Attaching' if reuse else 'Creating'} datastore '{config.name}' in '{config.path}'")
    datastores.create(config, reuse=reuse)
    keep = {name: value for name, value in retention.items() if name != "prune_schedule"}
    if not keep:
        return
    job_id = f"default-{config.name}-{uuid.uuid4()}"[:MAX_JOB_ID]
    jobs.prune.insert(PruneJob(job_id, config.name, retention.get("prune_schedule") or DEFAULT_SCHEDULE, **keep))
    task.log(f"Added prune job '{job_id}'")
