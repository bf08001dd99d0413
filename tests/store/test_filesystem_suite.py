"""The filesystem datastore passes the suite, at every sync level and after being opened again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.datastore_suite import DatastoreSuite
from kit.stores import SparseDatastore, sparse_store
from platevault.store.filesystem.options import SyncLevel


class TestFilesystem(DatastoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SparseDatastore]:
        store = sparse_store(tmp_path)
        yield store
        store.close()


class TestSyncedFiles(DatastoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SparseDatastore]:
        store = sparse_store(tmp_path, sync_level=SyncLevel.FILE)
        yield store
        store.close()
