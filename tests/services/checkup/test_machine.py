from __future__ import annotations

import resource

from platevault.services.checkup.finding import Level
from platevault.services.checkup.machine import ENOUGH_FILES, check_chunker, check_clock, check_open_files

NOW = 1_800_000_000.0


def test_a_clock_long_ago_is_noticed() -> None:
    assert check_clock(1.0, None).level is Level.WARNING


def test_a_clock_that_was_set_back_is_noticed() -> None:
    finding = check_clock(NOW, NOW + 3600)
    assert finding.level is Level.WARNING
    assert "3600 s in the future" in finding.message


def test_few_open_files_are_noticed() -> None:
    assert check_open_files(ENOUGH_FILES - 1).level is Level.WARNING
    assert check_open_files(ENOUGH_FILES).level is Level.OK
    assert check_open_files(resource.RLIM_INFINITY).message == "no limit"


def test_the_slow_chunker_is_noticed() -> None:
    assert check_chunker("c").level is Level.OK
    assert "gcc" in check_chunker("numpy").advice
