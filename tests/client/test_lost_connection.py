"""The connection is lost at every request once: an error that says so, no half of anything that looks whole, no thread left."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.memory_site import BLOCK, MemorySite
from platevault.client.encryption import Encryption
from platevault.errors import Unavailable
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode

SPECS = ("disk.img:{0}/disk", "tree.pxar:{0}/tree", "vm.conf:{0}/conf")


@pytest.fixture
def specs(tmp_path: Path) -> list[str]:
    source = tmp_path / "source"
    (source / "tree").mkdir(parents=True)
    (source / "disk").write_bytes(random.Random(1).randbytes(BLOCK + 5) + bytes(BLOCK))
    (source / "conf").write_text("key: value\n")
    (source / "tree" / "file").write_bytes(random.Random(2).randbytes(100_000))
    return [spec.format(source) for spec in SPECS]


def steps_until_it_works(site: MemorySite) -> Iterator[int]:
    """Let the n-th request lose the connection, for n = 1, 2, …; ends when a run has got through."""
    for step in range(1, 200):
        site.server.drop_at = step
        yield step
        if site.server.drop_at > 0:
            return
    pytest.fail("it never gets through")


@pytest.mark.parametrize("number", [0, 1], ids=["first backup", "second backup"])
def test_a_backup_that_loses_its_connection_leaves_no_snapshot(site: MemorySite, specs: list[str], number: int) -> None:
    if number:
        site.back_up(specs, 0)
    failed = 0
    for step in steps_until_it_works(site):
        try:
            site.back_up(specs, number)
        except Unavailable:
            failed += 1
            assert str(site.name(number)) not in site.server.store.snapshots, step
    assert failed >= 12
    assert str(site.name(number)) in site.server.store.snapshots
    site.server.drop_at = 0
    assert site.restore("disk.img", None, number) == Path(specs[0].partition(":")[2]).read_bytes()


@pytest.mark.parametrize("archive", ["disk.img", "vm.conf", "catalog.pcat1.didx"])
def test_a_restore_that_loses_its_connection_leaves_nothing(site: MemorySite, tmp_path: Path, specs: list[str], archive: str) -> None:
    site.back_up(specs, 0, Encryption(CryptMode.ENCRYPT, KEY))
    target = tmp_path / "back"
    target.mkdir()
    failed = 0
    for step in steps_until_it_works(site):
        try:
            site.restore(archive, target / "file", key=KEY)
        except Unavailable:
            failed += 1
            assert list(target.iterdir()) == [], step
    assert failed >= 2
    assert [path.name for path in target.iterdir()] == ["file"]


KEY = CryptKey.generate()
