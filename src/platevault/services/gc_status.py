"""Figures of a garbage collection, as `.gc-status` and the API show them. Source: spec formats §1.8, administration §1.8, §1.9."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(slots=True)
class GcStatus:
    """Sizes in bytes, of files. disk: kept. pending: unused but too young. cache: references seen again, distinct digests."""

    upid: str | None = None
    index_file_count: int = 0
    index_data_bytes: int = 0
    disk_bytes: int = 0
    disk_chunks: int = 0
    removed_bytes: int = 0
    removed_chunks: int = 0
    pending_bytes: int = 0
    pending_chunks: int = 0
    removed_bad: int = 0
    still_bad: int = 0
    cache_hits: int | None = None
    cache_misses: int | None = None

    @classmethod
    def from_record(cls, record: dict[str, Any] | None) -> Self:
        """From what is stored. Nothing, or a record that lacks a figure, counts as never collected."""
        values: dict[str, Any] = {}
        for name in NUMBERS:
            number = (record or {}).get(name.replace("_", "-"))
            if not isinstance(number, int):
                return cls()
            values[name] = number
        status = cls(**values, upid=(record or {}).get("upid"))
        cache = (record or {}).get("cache-stats")
        if isinstance(cache, dict):
            status.cache_hits, status.cache_misses = cache.get("hits"), cache.get("misses")
        return status

    def record(self) -> dict[str, Any]:
        """The JSON object."""
        record: dict[str, Any] = {"upid": self.upid}
        record |= {name.replace("_", "-"): getattr(self, name) for name in NUMBERS}
        if self.cache_hits is not None and self.cache_misses is not None:
            record["cache-stats"] = {"hits": self.cache_hits, "misses": self.cache_misses}
        return record

    @property
    def deduplication_factor(self) -> float:
        """Original data by disk usage; 1.0 for an empty store."""
        return self.index_data_bytes / self.disk_bytes if self.disk_bytes else 1.0

    def lines(self) -> list[str]:
        """The closing lines of the task log."""
        lines = [self._cache_line()] if self.cache_hits is not None else []
        lines += [f"Removed garbage: {human(self.removed_bytes)}", f"Removed chunks: {self.removed_chunks}"]
        if self.pending_bytes:
            lines.append(f"Pending removals: {human(self.pending_bytes)} (in {self.pending_chunks} chunks)")
        if self.removed_bad:
            lines.append(f"Removed bad chunks: {self.removed_bad}")
        if self.still_bad:
            lines.append(f"Leftover bad chunks: {self.still_bad}")
        return lines + self._usage_lines()

    def _cache_line(self) -> str:
        hits, misses = self.cache_hits or 0, self.cache_misses or 0
        ratio = 100 * hits / (hits + misses) if hits + misses else 0.0
        return f"Chunk cache: hits {hits}, misses {misses} (hit ratio {ratio:.2f}%)"

    def _usage_lines(self) -> list[str]:
        percent = 100 * self.disk_bytes / self.index_data_bytes if self.index_data_bytes else 0.0
        lines = [
            f"Original data usage: {human(self.index_data_bytes)}",
            f"On-Disk usage: {human(self.disk_bytes)} ({percent:.2f}%)",
            f"On-Disk chunks: {self.disk_chunks}",
            f"Deduplication factor: {self.deduplication_factor:.2f}",
        ]
        if self.disk_chunks:
            lines.append(f"Average chunk size: {human(self.disk_bytes // self.disk_chunks)}")
        return lines


NUMBERS = tuple(field.name for field in fields(GcStatus) if field.name not in ("upid", "cache_hits", "cache_misses"))


def human(size: int) -> str:
    """A size in binary units with up to three decimals: `1.161 GiB`."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.3f}".rstrip("0").rstrip(".") + f" {UNITS[unit]}"
