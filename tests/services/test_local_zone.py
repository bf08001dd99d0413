"""The machine's time zone, from wherever it says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from platevault.services import local_zone as module


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for /etc."""
    monkeypatch.setattr(module, "LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(module, "TIMEZONE", tmp_path / "timezone")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    module.zone_name.cache_clear()
    module.local_zone.cache_clear()


def test_from_the_link(etc: Path) -> None:
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Vienna")
    (etc / "timezone").write_text("America/New_York\n")
    assert module.zone_name() == "Europe/Vienna"
    assert module.local_zone() == ZoneInfo("Europe/Vienna")


def test_from_the_text(etc: Path) -> None:
    (etc / "localtime").write_bytes(b"a copy of a zone file")
    (etc / "timezone").write_text("America/New_York\n")
    assert module.zone_name() == "America/New_York"


@pytest.mark.parametrize("text", [b"", b"Nowhere/Land", b"../../etc/passwd", b"/etc/passwd", b"\xff\xfe", b"\0", b"Europe"])
def test_what_is_no_zone(etc: Path, text: bytes) -> None:
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Nowhere/Land")
    (etc / "timezone").write_bytes(text)
    assert module.zone_name() == "UTC"
    assert module.local_zone() == ZoneInfo("UTC")


def test_a_machine_that_does_not_say(etc: Path) -> None:
    assert module.zone_name() == "UTC"


def test_it_is_read_once(etc: Path) -> None:
    (etc / "timezone").write_text("America/New_York")
    assert module.zone_name() == "America/New_York"
    (etc / "timezone").write_text("Europe/Vienna")
    assert module.zone_name() == "America/New_York"
