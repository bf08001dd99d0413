"""When a process began: what tells it from an older one with the same number."""

from __future__ import annotations


def process_start(pid: int) -> int | None:
    """Start of a process in clock ticks since boot: with the pid it names a process for good. None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
