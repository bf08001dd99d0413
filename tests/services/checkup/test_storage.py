from __future__ import annotations

import os
from pathlib import Path

import pytest

from platevault.services.checkup.finding import Level
from platevault.services.checkup.storage import check_datastore


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / ".chunks").mkdir()
    return tmp_path


def test_a_sound_directory_has_no_errors_and_is_left_as_it_was(store: Path) -> None:
    findings = list(check_datastore("main", store))
    assert [finding.level for finding in findings if finding.level is Level.ERROR] == []
    assert [entry.name for entry in store.iterdir()] == [".chunks"]


def test_a_missing_directory_is_one_error(tmp_path: Path) -> None:
    (finding,) = check_datastore("main", tmp_path / "gone")
    assert finding.level is Level.ERROR
    assert "platevault datastore remove main" in finding.advice


def test_access_times_that_do_not_stay_are_an_error(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "utime", lambda *arguments: None)
    assert list(check_datastore("main", store))[-1].level is Level.ERROR


@pytest.mark.parametrize(("free", "level"), [(50, Level.OK), (8, Level.WARNING), (2, Level.ERROR)])
def test_little_room_is_noticed(store: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    status = os.statvfs_result((4096, 4096, 100, free, free, 100, 100, 100, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: status)
    assert next(check_datastore("main", store)).level is level
