from __future__ import annotations

from pathlib import Path

import pytest

from platevault.clock import ManualClock
from platevault.config.database import open_database
from platevault.services import certificate
from platevault.services.checkup.finding import Level
from platevault.services.checkup.state import DAY_S, check_certificate, check_database, check_state_dir


def test_a_state_directory_open_to_others_is_noticed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert check_state_dir(tmp_path).level is Level.WARNING
    tmp_path.chmod(0o700)
    assert check_state_dir(tmp_path).level is Level.OK


def test_a_sound_database(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    assert check_database(database).level is Level.OK
    database.close()


def test_a_damaged_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_database(f"sqlite:///{path}").close()
    database = open_database(f"sqlite:///{path}")
    damaged = bytearray(path.read_bytes())
    # Page 1 stays, so that the file opens; pages of tables behind it become noise.
    damaged[4096:] = b"\x5a" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    assert check_database(database).level is Level.ERROR
    database.close()


@pytest.mark.parametrize(("days", "level"), [(-2, Level.ERROR), (0, Level.OK), (3_000_000, Level.ERROR)], ids=["not yet", "now", "ran out"])
def test_a_certificate_by_its_dates(tmp_path: Path, days: int, level: Level) -> None:
    clock = ManualClock()
    made = certificate.ensure(tmp_path, clock=clock, names=["localhost"])
    assert check_certificate(made, clock.now() + days * DAY_S).level is level


def test_a_certificate_that_runs_out_soon_is_a_warning(tmp_path: Path) -> None:
    made = certificate.ensure(tmp_path, clock=ManualClock(), names=["localhost"])
    finding = check_certificate(made, made.leaf.not_valid_after_utc.timestamp() - 10 * DAY_S)
    assert (finding.level, finding.message) == (Level.WARNING, "runs out in 10 days")
