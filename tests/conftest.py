"""What holds for every test: reproducible Hypothesis runs, and one line about what this machine could not run."""

from __future__ import annotations

import os
from collections import Counter

import hypothesis
import pytest
from _pytest.terminal import TerminalReporter

# Deterministic, so that a failure is a fact about the change and not about the day. HYPOTHESIS_PROFILE=search looks for new cases.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say in one line how many tests were left out and why."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        listed = "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        terminalreporter.write_line(f"left out on this machine: {listed}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"({text.removeprefix('Skipped: ')})"
