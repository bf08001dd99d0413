"""Figures of the machine, from /proc: the node's status, and what the sampler adds to its curves."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

PROC = Path("/proc")
EFI = Path("/sys/firmware/efi")
SECTOR_BYTES = 512
KIB = 1024
# Devices whose traffic is counted again by the device below or above them.
VIRTUAL_DEVICES = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot in units of the kernel (all that matters is their ratio)."""

    total: int
    idle: int
    wait: int


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters that only grow: network bytes, disk operations and bytes, milliseconds in which a disk was busy."""

    net_in: int = 0
    net_out: int = 0
    read_ios: int = 0
    read_bytes: int = 0
    write_ios: int = 0
    write_bytes: int = 0
    busy_ms: int = 0


class NodeSampler:
    """Load between two looks at the kernel's counters. One lock protects the earlier look."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cpu_before = read_cpu()
        self._load = (0.0, 0.0)
        self._counters_before: tuple[float, Counters] | None = None

    def load(self) -> tuple[float, float]:
        """Share of the processor in use, and in wait for disks, since the last look that saw time pass; 0 to 1."""
        now = read_cpu()
        with self._lock:
            passed = now.total - self._cpu_before.total
            if passed > 0:
                busy = passed - (now.idle - self._cpu_before.idle) - (now.wait - self._cpu_before.wait)
                self._load = (max(0.0, busy / passed), max(0.0, (now.wait - self._cpu_before.wait) / passed))
                self._cpu_before = now
            return self._load

    def sample(self, monotonic_s: float) -> dict[str, float]:
        """The fields of the node's curves at this moment; rates since the sample before, none at the first."""
        cpu, wait = self.load()
        memory, swap = memory_figures()
        root = space_of("/")
        figures = {
            "cpu": cpu,
            "iowait": wait,
            "loadavg": load_average()[0],
            "memtotal": float(memory["total"]),
            "memused": float(memory["used"]),
            "swaptotal": float(swap["total"]),
            "swapused": float(swap["used"]),
            "total": float(root["total"]),
            "used": float(root["used"]),
        }
        return figures | self._rates(monotonic_s)

    def _rates(self, monotonic_s: float) -> dict[str, float]:
        now = read_counters()
        with self._lock:
            before, self._counters_before = self._counters_before, (monotonic_s, now)
        if before is None or monotonic_s <= before[0]:
            return {}
        passed, old = monotonic_s - before[0], before[1]
        pairs = {
            "netin": (now.net_in, old.net_in),
            "netout": (now.net_out, old.net_out),
            "read_ios": (now.read_ios, old.read_ios),
            "read_bytes": (now.read_bytes, old.read_bytes),
            "write_ios": (now.write_ios, old.write_ios),
            "write_bytes": (now.write_bytes, old.write_bytes),
            "io_ticks": (now.busy_ms / 1000, old.busy_ms / 1000),
        }
        return {name: max(0.0, (new - was) / passed) for name, (new, was) in pairs.items()}


def status(sampler: NodeSampler, fingerprint: str) -> dict[str, Any]:
    """The record NodeStatus of the API."""
    cpu, wait = sampler.load()
    memory, swap = memory_figures()
    kernel = os.uname()
    return {
        "cpu": cpu,
        "wait": wait,
        "uptime": uptime_s(),
        "loadavg": load_average(),
        "memory": memory,
        "swap": swap,
        "root": space_of("/"),
        "cpuinfo": cpu_info(),
        "kversion": f"{kernel.sysname} {kernel.release} {kernel.version}",
        "current-kernel": {
            "sysname": kernel.sysname,
            "release": kernel.release,
            "version": kernel.version,
            "machine": kernel.machine,
        },
        "boot-info": boot_info(),
        "info": {"fingerprint": fingerprint},
    }


def read_cpu() -> CpuTimes:
    numbers = [int(text) for text in _first_line("stat").split()[1:9]]
    numbers += [0] * (8 - len(numbers))
    return CpuTimes(sum(numbers), numbers[3], numbers[4])


def load_average() -> list[float]:
    return list(os.getloadavg())


def uptime_s() -> int:
    return int(float((_first_line("uptime") or "0").split()[0]))


def memory_figures() -> tuple[dict[str, int], dict[str, int]]:
    """Memory and swap as total, used and free, in bytes. What the kernel can give back at once counts as free."""
    figures = {}
    for line in _lines("meminfo"):
        name, _, rest = line.partition(":")
        figures[name] = int((rest.split() or ["0"])[0]) * KIB
    total, free = figures.get("MemTotal", 0), figures.get("MemAvailable", figures.get("MemFree", 0))
    swap_total, swap_free = figures.get("SwapTotal", 0), figures.get("SwapFree", 0)
    return (
        {"total": total, "used": total - free, "free": free},
        {"total": swap_total, "used": swap_total - swap_free, "free": swap_free},
    )


def space_of(path: str) -> dict[str, int]:
    usage = shutil.disk_usage(path)
    return {"total": usage.total, "used": usage.used, "avail": usage.free}


@cache
def cpu_info() -> dict[str, Any]:
    model, sockets = "unknown", set()
    for line in _lines("cpuinfo"):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "model name":
            model = value
        elif name == "physical id":
            sockets.add(value)
    return {"model": model, "sockets": len(sockets) or 1, "cpus": os.cpu_count() or 1}


@cache
def boot_info() -> dict[str, Any]:
    if not EFI.is_dir():
        return {"mode": "legacy-bios", "secureboot": False}
    try:
        [variable] = (EFI / "efivars").glob("SecureBoot-*")
        secure = variable.read_bytes()[4:5] == b"\1"  # four bytes of attributes come first
    except (OSError, ValueError):
        secure = False
    return {"mode": "efi", "secureboot": secure}


def read_counters() -> Counters:
    """The sums over all network interfaces but loopback, and over all real disks."""
    net_in, net_out = _network()
    disks = [line.split() for line in _lines("diskstats")]
    rows = [row for row in disks if len(row) >= 14 and _is_disk(row[2])]

    def total(column: int) -> int:
        return sum(int(row[column]) for row in rows)

    return Counters(net_in, net_out, total(3), total(5) * SECTOR_BYTES, total(7), total(9) * SECTOR_BYTES, total(12))


def _network() -> tuple[int, int]:
    received = sent = 0
    for line in _lines("net/dev")[2:]:
        name, _, rest = line.partition(":")
        columns = rest.split()
        if name.strip() != "lo" and len(columns) >= 9:
            received += int(columns[0])
            sent += int(columns[8])
    return received, sent


def _is_disk(name: str) -> bool:
    return not name.startswith(VIRTUAL_DEVICES) and (Path("/sys/block") / name).exists()


def _first_line(name: str) -> str:
    lines = _lines(name)
    return lines[0] if lines else ""


def _lines(name: str) -> list[str]:
    """Lines of a file below /proc, none when this system has no such file."""
    try:
        return (PROC / name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
