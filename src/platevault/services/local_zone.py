"""The time zone of the machine: calendar events, retention periods and log lines are in local time."""

from __future__ import annotations

import os
from datetime import tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")


@cache
def zone_name() -> str:
    """Name in the zone database, `UTC` when the machine does not say. Read once: a change takes effect with a restart."""
    for name in (_from_link(), _from_text()):
        if name and _is_known(name):
            return name
    return "UTC"


@cache
def local_zone() -> tzinfo:
    return ZoneInfo(zone_name())


def _from_link() -> str:
    try:
        return os.path.realpath(LOCALTIME).partition("/zoneinfo/")[2]
    except OSError:
        return ""


def _from_text() -> str:
    try:
        return TIMEZONE.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
