"""What is answered outside of `/api2`: a page that says what this is. No login is needed, and nothing about the installation is told."""

from __future__ import annotations

from platevault.api.envelope import Answer

INDEX = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Platevault</title>
<h1>Platevault</h1>
<p>This is a backup server. Its API is below <code>/api2/json</code>; add it to Proxmox VE as a Proxmox Backup Server,
or use it with <code>platevault</code> or <code>proxmox-backup-client</code>.</p>
</html>
"""


def page(method: str, components: tuple[str, ...]) -> Answer:
    """The answer to a path outside of the API."""
    if method != "GET":
        return Answer(400, b"Unsupported method")
    if components:
        return Answer(404, b"no such file")
    return Answer(200, INDEX, "text/html")
