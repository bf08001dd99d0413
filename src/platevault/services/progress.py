"""What long work needs from whoever runs it: a log, warnings, and a way to be stopped."""

from __future__ import annotations

from typing import Protocol

from platevault.errors import Aborted


class Progress(Protocol):
    """A running task, as the work inside it sees it. Calls come from the thread of the work, unless that says otherwise."""

    def log(self, text: str) -> None: ...

    def warn(self, text: str) -> None:
        """A line that also counts: the task ends with WARNINGS."""
        ...

    def check_abort(self) -> None:
        """Raises Aborted when somebody asked for the work to stop."""
        ...


class Recorded:
    """A Progress that keeps its lines; for work that runs outside a task, and for tests."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.aborted = False

    def log(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def check_abort(self) -> None:
        if self.aborted:
            raise Aborted("abort requested - aborting task")
