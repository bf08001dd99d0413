"""Checks of the machine: clock, open files, the chunker."""

from __future__ import annotations

import ctypes
import resource

from platevault.services.checkup.finding import Finding, ok, warning

# A connection takes one descriptor, every open archive of a session another; 1,024, the usual soft limit, is for some 300 backups at once.
ENOUGH_FILES = 4096
EARLIEST_PLAUSIBLE = 1_735_689_600  # 2025-01-01: before this program was written
TIMEX_BYTES = 256  # struct timex has 208 bytes on 64-bit Linux
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def check_clock(now: float, newest_known: float | None) -> Finding:
    """Whether the clock can be right. newest_known: time of the newest task or snapshot, seconds since the epoch."""
    advice = "run an NTP service (chrony, systemd-timesyncd): snapshots, tickets and locks go by the clock"
    if now < EARLIEST_PLAUSIBLE:
        return warning("clock", "the clock shows a time long past", advice)
    if newest_known is not None and newest_known > now + 60:
        return warning("clock", f"the newest task began {newest_known - now:.0f} s in the future: the clock has been set back", advice)
    if _is_unsynchronised():
        return warning("clock", "the kernel says that the clock is not synchronised", advice)
    return ok("clock", "plausible and synchronised")


def _is_unsynchronised() -> bool:
    """What the kernel knows; False where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    return bool(adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) == TIME_ERROR)


def check_open_files(limit: int | None = None) -> Finding:
    """Whether enough files may be open at once. limit: for tests; default is this process's own, which the service shares by its unit."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if limit is None else limit
    if most != resource.RLIM_INFINITY and most < ENOUGH_FILES:
        return warning(
            "open files", f"at most {most} files may be open at once", f"raise LimitNOFILE (ulimit -n) to {ENOUGH_FILES} or more"
        )
    return ok("open files", "no limit" if most == resource.RLIM_INFINITY else f"up to {most}")


def check_chunker(implementation: str) -> Finding:
    """Which chunker runs. implementation: `c` or `numpy`."""
    if implementation == "c":
        return ok("chunker", "in C")
    advice = "install a C compiler and Python's headers (gcc, python3-dev) and install Platevault again"
    return warning("chunker", "the slower one in numpy: directory backups by this machine's client take longer", advice)
