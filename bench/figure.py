"""What a figure hands back, and how it is shown: a table for people on standard error, JSON for programs on standard output."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

GB = 1_000_000_000
MIB = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One measurement. `bytes` is what the rate and CPU per GB refer to; 0 leaves both out."""

    what: str
    wall_s: float
    bytes: int = 0
    server_cpu_s: float | None = None
    client_cpu_s: float | None = None
    server_peak_mib: float | None = None
    client_peak_mib: float | None = None
    target: str = ""
    extra: dict[str, float | int | str] = field(default_factory=dict)

    def values(self) -> dict[str, object]:
        """The row as JSON: what was not measured is left out."""
        plain = {name: value for name, value in vars(self).items() if value is not None and name not in ("extra", "target", "bytes")}
        derived = (
            {"mb_per_s": self.bytes / 1e6 / self.wall_s, "server_cpu_s_per_gb": _per_gb(self.server_cpu_s, self.bytes)}
            if self.bytes
            else {}
        )
        rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in (plain | derived | self.extra).items()}
        return {**rounded, **({"bytes": self.bytes} if self.bytes else {}), **({"target": self.target} if self.target else {})}


def _per_gb(cpu_s: float | None, size: int) -> float | None:
    return None if cpu_s is None else cpu_s / size * GB


@dataclass(frozen=True)
class Scale:
    """How big the data is: 1 for the reference figures, less for a quick look."""

    share: float
    data: Path

    def bytes(self, full: int, unit: int = 4 * MIB) -> int:
        """`full` scaled down to a whole number of units, at least one."""
        return max(1, round(full * self.share / unit)) * unit

    def count(self, full: int) -> int:
        return max(1, round(full * self.share))


Figure = Callable[[Scale], list[Row]]


def report(name: str, rows: list[Row]) -> None:
    """Print the table and the JSON line of one figure."""
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    print(json.dumps({"figure": name, **machine, "rows": [row.values() for row in rows]}), flush=True)
    lines = [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in [HEAD, *lines]) for column in range(len(HEAD))]
    print(f"\n{name}", file=sys.stderr)
    for line in [HEAD, *lines]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=sys.stderr)


HEAD = ["", "wall s", "MB/s", "server CPU s", "s/GB", "client CPU s", "server MiB", "client MiB", "target, remarks"]


def _cells(row: Row) -> list[str]:
    per_gb = _per_gb(row.server_cpu_s, row.bytes) if row.bytes else None
    rate = row.bytes / 1e6 / row.wall_s if row.bytes else None
    remarks = ", ".join([*([row.target] if row.target else []), *(f"{name} {_text(value)}" for name, value in row.extra.items())])
    numbers = [row.wall_s, rate, row.server_cpu_s, per_gb, row.client_cpu_s, row.server_peak_mib, row.client_peak_mib]
    return [row.what, *("" if number is None else _text(number) for number in numbers), remarks]


def _text(value: float | int | str) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value >= 100 else f"{value:.2f}" if isinstance(value, float) else str(value)
