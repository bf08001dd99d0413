from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from platevault.cli.server_settings import VARIABLES, Variable, server_settings
from platevault.config.settings import Settings
from platevault.errors import Invalid

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "settings.md"


def test_option_wins_over_variable_and_variable_over_default() -> None:
    environment = {"PLATEVAULT_PORT": "9000", "PLATEVAULT_DRAIN_TIMEOUT": "2.5", "PLATEVAULT_STATE_DIR": "/state"}
    settings = server_settings(environment, port=None, host="127.0.0.1")
    assert (settings.port, settings.drain_timeout_s, settings.host) == (9000, 2.5, "127.0.0.1")
    assert settings.state_dir == Path("/state")
    assert server_settings(environment, port=1).port == 1


def test_a_number_that_is_none_is_invalid() -> None:
    with pytest.raises(Invalid, match="PLATEVAULT_PORT"):
        server_settings({"PLATEVAULT_PORT": "many"})


def test_every_setting_has_a_variable() -> None:
    assert {variable.field for variable in VARIABLES} == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_is_documented(variable: Variable) -> None:
    assert f"`{variable.name}`" in PAGE.read_text()
