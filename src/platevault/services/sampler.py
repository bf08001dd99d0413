"""Takes a sample of the machine and of every datastore once a minute, for the curves and the estimate of when a disk is full."""

from __future__ import annotations

import logging
import threading

from platevault.clock import Clock
from platevault.errors import PlatevaultError
from platevault.services.datastores import Datastores
from platevault.services.node_status import NodeSampler
from platevault.services.series import Series
from platevault.services.usage import series_name, space_fields

HOST_SERIES = "host"
STEP_S = 60.0
SAVE_EVERY = 10  # samples: a crash costs ten minutes of curves

log = logging.getLogger(__name__)


class Sampler:
    """One thread from `start` to `stop`; it touches nothing but the series."""

    def __init__(self, clock: Clock, node: NodeSampler, series: Series, datastores: Datastores) -> None:
        self._clock, self._node, self._series, self._datastores = clock, node, series, datastores
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and saves the curves. Harmless when it never started."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STEP_S)
        self._series.save()

    def take(self) -> None:
        """One sample of everything. A datastore that cannot be looked at has a gap in its curve."""
        now = self._clock.now()
        self._series.add(HOST_SERIES, now, self._node.sample(self._clock.monotonic()))
        for config in self._datastores.configs.all():
            try:
                space = self._datastores.get(config.name, "any").space()
            except PlatevaultError as error:
                log.debug("no figures of datastore '%s': %s", config.name, error)
                continue
            self._series.add(series_name(config.name), now, space_fields(space))

    def _run(self) -> None:
        count = 0
        while True:
            try:
                self.take()
            except (PlatevaultError, OSError) as error:
                log.warning("figures of the machine could not be taken: %s", error)
            count += 1
            if count % SAVE_EVERY == 0:
                self._series.save()
            if self._stopped.wait(STEP_S):
                return
