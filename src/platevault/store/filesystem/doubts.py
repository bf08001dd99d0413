"""Which chunk files a power cut may have torn: periods of time in which files were written that nobody knows to be on the disk.

At the sync levels `filesystem` and `none` a chunk has its name before its content is on the disk. A backup that was reported good does not
suffer: everything was flushed before. But the chunks of the backup that was running when the power failed are still there, some of them
short or full of zeros, and the next backup would be told that the store has them already. So a chunk file from such a period is read and
checked once before it is taken for present. The same goes for a period in which the kernel reported lost writes.

The file `.platevault-flushed` in the datastore keeps the periods and the boot id of the machine; its own mtime is the moment up to which
everything is on the disk. A datastore without it (never used by this program) is trusted. Doubt costs a read, so in doubt there is doubt.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

from platevault.store.filesystem import dirs
from platevault.store.filesystem.options import SyncLevel
from platevault.store.filesystem.replace import replace_file

log = logging.getLogger(__name__)

FLUSHED = ".platevault-flushed"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SLACK_S = 5.0  # file times come from a coarser clock than ours, and clocks are set
MOST_PERIODS = 64  # each restart of the machine adds one; beyond that the oldest are drawn together
Period = tuple[float, float]


def boot_id() -> str:
    """What changes when the machine starts anew; always the same where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return "unknown"


class Doubts:
    """The periods of one datastore, in seconds since the epoch. `_lock` protects the list, which is replaced as a whole."""

    def __init__(self, base: int, now: float, *, boot: str, owner: dirs.Owner | None) -> None:
        """base: the open directory of the datastore. A new boot adds the period since the last flush. Raises OSError."""
        self._boot, self._owner = boot, owner
        self._lock = threading.Lock()
        self._saved = False
        known = _load(base)
        self._periods: tuple[Period, ...] = ()
        if known is None:
            self._save(base)
            return
        self._saved = True
        old_boot, self._periods, flushed = known
        if old_boot != boot:
            self._add(base, flushed, now)

    def covers(self, written: float) -> bool:
        """Whether a file that was written at this time has to be checked."""
        return any(begin <= written <= end for begin, end in self._periods)

    def note_flushed(self, base: int, moment: float) -> None:
        """What was written before `moment` is on the disk now."""
        if not self._saved:
            self._save(base)
        if not self._saved:
            return
        try:
            os.utime(FLUSHED, (moment, moment), dir_fd=base, follow_symlinks=False)
        except OSError as error:  # the mark stays behind, which only makes for more doubt
            log.warning("the moment of the last flush cannot be noted: %s", error.strerror)

    def note_lost(self, base: int, now: float) -> None:
        """Something of what was written since the last flush has not reached the disk."""
        known = _load(base)
        self._add(base, known[2] if known else 0.0, now)

    def _add(self, base: int, begin: float, end: float) -> None:
        with self._lock:
            periods = sorted([*self._periods, (begin - SLACK_S, end + SLACK_S)])
            while len(periods) > MOST_PERIODS:
                periods[:2] = [(periods[0][0], max(periods[0][1], periods[1][1]))]
            self._periods = tuple(periods)
            self._save(base)

    def _save(self, base: int) -> None:
        """Failing is no reason not to serve the datastore, it may be mounted read-only. Until it succeeds, the old file stays as it is."""
        raw = json.dumps({"boot": self._boot, "doubtful": self._periods}).encode()
        try:
            replace_file(base, FLUSHED, raw, owner=self._owner, sync=SyncLevel.FILE)
            self._saved = True
        except OSError as error:
            self._saved = False
            log.warning("'%s' cannot be written: %s", FLUSHED, error.strerror)


def _load(base: int) -> tuple[str, tuple[Period, ...], float] | None:
    """Boot id, periods, moment of the last flush; None without a file. What cannot be understood is doubt about everything."""
    try:
        descriptor = dirs.open_regular(base, FLUSHED)
    except FileNotFoundError:
        return None
    try:
        flushed, raw = os.fstat(descriptor).st_mtime, dirs.read_all(descriptor)
    finally:
        os.close(descriptor)
    try:
        record = json.loads(raw)
        return str(record["boot"]), tuple((float(begin), float(end)) for begin, end in record["doubtful"]), flushed
    except (ValueError, TypeError, KeyError):
        return "", (), 0.0
