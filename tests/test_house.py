"""The house's own rules that no tool checks."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "platevault"
TIME_OF_DAY = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.datetime.now", "datetime.datetime.utcnow"}
SCRIPTS = ("setup", "serve", "test", "check", "bench", "demo", "with-server")


@pytest.mark.parametrize("script", [*(f"scripts/{name}" for name in SCRIPTS), ".ci/run"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_init_files_hold_a_docstring_and_nothing_else() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem in empty]


def test_only_cli_and_app_read_the_environment() -> None:
    allowed = {PACKAGE / "app.py", *(PACKAGE / "cli").rglob("*.py")}
    readers = [path for path in PACKAGE.rglob("*.py") if path not in allowed and _reads_environment(path)]
    assert readers == []


def _reads_environment(path: Path) -> bool:
    text = path.read_text()
    return "os.environ" in text or "os.getenv" in text


def test_only_clock_reads_the_time_of_day() -> None:
    readers = [path for path in PACKAGE.rglob("*.py") if path.name != "clock.py" and _reads_time(path)]
    assert readers == []


def _reads_time(path: Path) -> bool:
    """Whether wall clock is read; monotonic time for rates and time limits is another matter."""
    return any(ast.unparse(node.func) in TIME_OF_DAY for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def test_every_pinned_package_is_exact() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all("==" in line for line in lines)
