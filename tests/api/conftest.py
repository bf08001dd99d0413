"""A server without a listener for the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.site import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh server with the empty datastore `store`."""
    with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for the tests of a module that only look, or clean up behind themselves."""
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened
