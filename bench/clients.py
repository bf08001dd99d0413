"""How the figures call Platevault's own client, and find what it made."""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit

from bench.process import Usage, run_measured


def environment() -> dict[str, str]:
    url = urlsplit(os.environ["CONF_URL"])
    return {
        "PBS_REPOSITORY": f"{os.environ['CONF_TOKENID']}@{url.hostname}:{url.port}:{os.environ['CONF_STORE']}",
        "PBS_PASSWORD": os.environ["CONF_TOKEN"],
        "PBS_FINGERPRINT": os.environ["CONF_FINGERPRINT"],
    }


def platevault(*arguments: str) -> Usage:
    """Run one client command and measure it and the server."""
    return run_measured("platevault", *arguments, environment=environment())


def newest_snapshot(group: str) -> str:
    """Path of the newest snapshot of a group, `host/x/TIME`."""
    snapshots = json.loads(platevault("snapshots", group, "--output", "json").output)
    return str(max(snapshots, key=lambda snapshot: snapshot["backup-time"])["snapshot"])
