"""Figures of the machine from made-up /proc files."""

from __future__ import annotations

from pathlib import Path

import pytest

from platevault.services import node_status
from platevault.services.node_status import NodeSampler

STAT = "cpu  {} 0 0 {} {} 0 0 0 0 0\ncpu0 1 2 3\n"
MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n"
NET = "head\nhead\n    lo: 5 0 0 0 0 0 0 0 6 0\n  eth0: {} 0 0 0 0 0 0 0 {} 0\n"
DISKS = "   8       0 sda {reads} 0 {sectors} 0 1 0 2 0 0 {busy} 0\n   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(node_status, "PROC", tmp_path)
    monkeypatch.setattr(node_status, "_is_disk", lambda name: name == "sda")
    (tmp_path / "net").mkdir()
    (tmp_path / "stat").write_text(STAT.format(10, 80, 10))
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "uptime").write_text("1234.56 99\n")
    (tmp_path / "net/dev").write_text(NET.format(100, 200))
    (tmp_path / "diskstats").write_text(DISKS.format(reads=1, sectors=10, busy=500))
    return tmp_path


def test_memory_that_can_be_given_back_is_free(proc: Path) -> None:
    memory, swap = node_status.memory_figures()
    assert memory == {"total": 1024000, "used": 614400, "free": 409600}
    assert swap == {"total": 51200, "used": 30720, "free": 20480}


def test_load_is_that_between_two_looks(proc: Path) -> None:
    sampler = NodeSampler()
    assert sampler.load() == (0.0, 0.0)
    (proc / "stat").write_text(STAT.format(60, 100, 40))  # 50 busy, 20 idle, 30 waiting
    assert sampler.load() == (0.5, 0.3)
    assert sampler.load() == (0.5, 0.3)


def test_rates_begin_with_the_second_sample(proc: Path) -> None:
    sampler = NodeSampler()
    assert "netin" not in sampler.sample(100.0)
    (proc / "net/dev").write_text(NET.format(1100, 200))
    (proc / "diskstats").write_text(DISKS.format(reads=21, sectors=30, busy=1500))
    found = sampler.sample(110.0)
    assert (found["netin"], found["netout"]) == (100.0, 0.0)
    assert (found["read_ios"], found["read_bytes"], found["io_ticks"]) == (2.0, 1024.0, 0.1)


def test_counters_that_begin_anew_are_no_negative_rate(proc: Path) -> None:
    sampler = NodeSampler()
    sampler.sample(100.0)
    (proc / "net/dev").write_text(NET.format(1, 1))
    assert sampler.sample(110.0)["netin"] == 0.0


def test_a_system_without_these_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_status, "PROC", tmp_path)
    sampler = NodeSampler()
    assert sampler.load() == (0.0, 0.0)
    assert node_status.uptime_s() == 0
    assert node_status.memory_figures()[0] == {"total": 0, "used": 0, "free": 0}
    assert sampler.sample(1.0)["memtotal"] == 0.0
