"""Memory of the server: idle, with one backup session, and with many that are open and silent."""

from __future__ import annotations

import os

from bench.figure import MIB, Row, Scale
from bench.process import Meter, memory_mib
from bench.sender import open_session, prepare, send_snapshot

SESSIONS = 50


def measure(scale: Scale) -> list[Row]:
    pid = int(os.environ["CONF_SERVER_PID"])
    idle = memory_mib(pid, "VmRSS")
    rows = [Row("idle", 0.0, server_peak_mib=idle, target="<= 130 MiB")]
    with Meter() as meter:
        send_snapshot("bench-memory", prepare("plain", scale.bytes(256 * MIB)))
    usage = meter.usage()
    rows.append(Row("one session", usage.wall_s, server_peak_mib=usage.server_peak_mib, target="<= 200 MiB"))
    with Meter() as meter:
        sessions = [open_session(f"bench-{number}") for number in range(SESSIONS)]
        for session in sessions:
            session.close()
    usage = meter.usage()
    each = (usage.server_peak_mib - idle) / SESSIONS
    rows.append(Row(f"{SESSIONS} silent sessions", usage.wall_s, server_peak_mib=usage.server_peak_mib, extra={"mib_each": each}))
    return rows
