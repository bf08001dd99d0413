"""Fingerprints that the user has accepted: a text file with `SERVER FINGERPRINT` a line.

Source: spec clients §4.1 (the file `fingerprints` of the existing client; same form). The newest line of a server counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from platevault.client.trust import parse_fingerprint
from platevault.errors import Invalid


def load_fingerprint(file: Path, server: str) -> str | None:
    """The stored fingerprint of a server, or None. A line that cannot be read is skipped: it only means asking again."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        name, _, text = line.partition(" ")
        if name == server:
            try:
                return parse_fingerprint(text)
            except Invalid:
                continue
    return None


def store_fingerprint(file: Path, server: str, fingerprint: str) -> None:
    """Remember a fingerprint; replaces the one of the same server."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    kept = [line for line in old if line.partition(" ")[0] != server]
    fresh = file.with_name(file.name + ".new")
    fresh.write_text("\n".join([*kept, f"{server} {fingerprint}", ""]), encoding="utf-8")
    os.replace(fresh, file)
