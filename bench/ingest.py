"""What it costs the server to receive: one client with plain, compressed and encrypted chunks, then many clients at once."""

from __future__ import annotations

import subprocess
import sys

from bench import limit
from bench.figure import MIB, Row, Scale
from bench.process import Meter

ONE_CLIENT_BYTES = 256 * MIB
TARGETS = {"plain": "<= 2.2 s/GB", "encrypted": "<= 1.3 s/GB", "zstd": ""}


def measure(scale: Scale) -> list[Row]:
    rows = limit.measure(scale)
    for kind, goal in TARGETS.items():
        rows.append(_row(f"1 client, {kind}", 1, kind, scale.bytes(ONE_CLIENT_BYTES), goal))
    rows.append(_row("8 clients, plain", 8, "plain", scale.bytes(512 * MIB), ">= 250 MB/s, <= 2.6 s/GB, <= 180 MiB"))
    rows.append(_row("32 clients, plain", 32, "plain", scale.bytes(1024 * MIB), "<= 2.6 s/GB, <= 300 MiB"))
    return rows


def _row(what: str, clients: int, kind: str, total: int, goal: str) -> Row:
    size = max(1, total // clients // (4 * MIB)) * 4 * MIB
    with Senders(what, clients, kind, size) as senders, Meter() as meter:
        senders.run()
    usage = meter.usage()
    return Row(what, usage.wall_s, clients * size, usage.server_cpu_s, server_peak_mib=usage.server_peak_mib, target=goal)


class Senders:
    """Processes that hold their chunks ready and begin together."""

    def __init__(self, what: str, clients: int, kind: str, size: int) -> None:
        name = what.replace(" ", "-").replace(",", "")
        self._processes = [_start(f"{name}-{number}", kind, size) for number in range(clients)]

    def __enter__(self) -> Senders:
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                sys.exit("bench: a sender did not start")
        return self

    def run(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.close()
        if any(process.wait() for process in self._processes):
            sys.exit("bench: a sender failed")

    def __exit__(self, *unused: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _start(backup_id: str, kind: str, size: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.sender", backup_id, kind, str(size)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
