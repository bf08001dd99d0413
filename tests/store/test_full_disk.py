"""A full disk: the operation says so and leaves nothing behind; what was there still works."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.backups import DAY, NOON, backup, pieces, snapshot
from kit.stores import sparse_store
from platevault.errors import Unavailable
from platevault.formats.names import ROOT
from platevault.store.datastore import DynamicIndexWriter

BIG = [os.urandom(200_000) for _ in range(10)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], check=False).returncode == 0
    if not mounted:
        pytest.skip("mounting a small disk needs root")
    yield where
    subprocess.run(["umount", where], check=True)


def test_a_backup_that_does_not_fit(small_disk: Path) -> None:
    store = sparse_store(small_disk)
    before = backup(store, chunks=pieces("before"))
    with pytest.raises(Unavailable, match="No space left"):
        backup(store, snapshot(time=NOON + DAY), chunks=BIG)
    assert [entry.name for entry in store.snapshots(ROOT, before.name.group)] == [before.name]
    assert list(small_disk.rglob("*.tmp_*")) == []
    assert all(store.chunks.load(digest) for digest in before.digests)
    store.remove_snapshot(ROOT, before.name)
    store.close()  # lets go of everything, or the disk could not be unmounted


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_writes_that_the_system_refuses(tmp_path: Path) -> None:
    store = sparse_store(tmp_path)
    before = backup(store)
    digest = bytes(32)
    writer = store.chunks.begin(digest, encoded_bytes=500_000, header_bytes=12)
    with files_up_to(100_000):
        with pytest.raises(Unavailable):
            store.chunks.insert(digest, bytes(500_000))
        with pytest.raises(Unavailable):
            writer.write(bytes(499_988))
        writer.discard()
        with pytest.raises(Unavailable):
            store.write_blob(ROOT, before.name, "a.conf.blob", bytes(500_000))
        index = store.create_dynamic_index(ROOT, before.name, "b.didx")
        with pytest.raises(Unavailable):
            append_all(index, 10_000)
        index.drop()
        fixed = store.create_fixed_index(ROOT, before.name, "c.fidx", size=None)
        fixed.set(10_000, digest)
        with pytest.raises(Unavailable):
            fixed.close(10_001 * 4 * 1024 * 1024)
        fixed.drop()
    assert list(tmp_path.rglob("*tmp_*")) == []
    assert [file.name for file in store.files(ROOT, before.name)] == ["index.json.blob", "root.pxar.didx"]


def append_all(index: DynamicIndexWriter, count: int) -> None:
    for number in range(count):
        index.append(number + 1, bytes(32))
