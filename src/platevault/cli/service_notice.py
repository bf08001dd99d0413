"""Tells systemd, or whoever speaks its protocol, how far the service is (sd_notify(3))."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def tell_service_manager(state: str, environment: Mapping[str, str]) -> None:
    """Send e.g. `READY=1`. Nothing happens without a service manager; one that does not listen is none of our business."""
    name = environment.get(VARIABLE, "")
    if not name:
        return
    address = "\0" + name[1:] if name.startswith("@") else name
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
