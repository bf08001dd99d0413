"""How a filesystem datastore treats its disk."""

from __future__ import annotations

from enum import StrEnum


class SyncLevel(StrEnum):
    """What survives a power cut (the tuning option `sync-level`).

    NONE: nothing is promised. FILESYSTEM: everything up to the last `flush()`, by one syncfs. FILE: each chunk and file on return
    of the call that wrote it, by fsync.
    """

    NONE = "none"
    FILESYSTEM = "filesystem"
    FILE = "file"
