"""Tickets of earlier logins, in a file of the user that nobody else can read.

Source: spec clients §4.1 (tried first, the password is the fallback). A ticket is worth nothing two hours after it was issued.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from platevault.client.credentials import TICKET_COOKIE, Ticket

LIFETIME_S = 7200


def load_ticket(file: Path, server: str, auth_id: str, *, now: float) -> Ticket | None:
    """The stored ticket, unless it has run out. A file that cannot be read means only that a login is needed."""
    entry = _read(file).get(_name(server, auth_id))
    try:
        if entry is None or not 0 <= now - float(entry["issued"]) < LIFETIME_S:
            return None
        return Ticket(auth_id, str(entry["ticket"]), str(entry["csrf"]), float(entry["issued"]), str(entry.get("cookie", TICKET_COOKIE)))
    except (KeyError, TypeError, ValueError):
        return None


def store_ticket(file: Path, server: str, ticket: Ticket) -> None:
    """Keep a ticket; replaces the one of the same server and user."""
    entry = {"ticket": ticket.text, "csrf": ticket.csrf, "issued": ticket.issued, "cookie": ticket.cookie}
    _write(file, _read(file) | {_name(server, ticket.auth_id): entry})


def remove_ticket(file: Path, server: str, auth_id: str) -> bool:
    """Forget a ticket; returns whether there was one."""
    entries = _read(file)
    found = entries.pop(_name(server, auth_id), None) is not None
    if found:
        _write(file, entries)
    return found


def _name(server: str, auth_id: str) -> str:
    return f"{auth_id}@{server}"


def _read(file: Path) -> dict[str, Any]:
    try:
        entries = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _write(file: Path, entries: dict[str, Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(entries, out)
    os.replace(fresh, file)
