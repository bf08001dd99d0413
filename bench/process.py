"""CPU seconds and memory of a process, from /proc; commands run and measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used so far, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mib(pid: int, name: str = "VmHWM") -> float:
    """Peak resident memory since the last `forget_peak`, or with VmRSS what is resident now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid: int) -> None:
    """Start the peak anew (proc(5), clear_refs 5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass(frozen=True)
class Usage:
    """What some work cost the server (and, for a command, the client)."""

    wall_s: float
    server_cpu_s: float
    server_peak_mib: float
    client_cpu_s: float | None = None
    client_peak_mib: float | None = None
    output: str = ""


class Meter:
    """Measures the server around a block: `with Meter() as meter: ...`, then `meter.usage()`."""

    def __init__(self) -> None:
        self._pid = int(os.environ["CONF_SERVER_PID"])

    def __enter__(self) -> Meter:
        forget_peak(self._pid)
        self._cpu_s, self._start = cpu_s(self._pid), time.perf_counter()
        return self

    def __exit__(self, *unused: object) -> None:
        self._wall_s = time.perf_counter() - self._start
        self._cpu_s = cpu_s(self._pid) - self._cpu_s
        self._peak_mib = memory_mib(self._pid)

    def usage(self) -> Usage:
        return Usage(self._wall_s, self._cpu_s, self._peak_mib)


def run_measured(*command: str, environment: dict[str, str] | None = None) -> Usage:
    """Run a client command to its end; fails loudly when the command does."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with Meter() as meter:
            process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=output, stderr=errors)
            # wait4 gives the figures of this child alone; RUSAGE_CHILDREN would give the sum and the largest of all so far.
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"bench: {' '.join(command)} failed with status {process.returncode}:\n{_text(errors)}")
        text = _text(output)
    usage = meter.usage()
    client_cpu_s = used.ru_utime + used.ru_stime
    return Usage(usage.wall_s, usage.server_cpu_s, usage.server_peak_mib, client_cpu_s, used.ru_maxrss / 1024, text)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
