"""Where an image may be restored to, and what happens to what is there."""

from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from kit.loop_device import loop_device
from kit.memory_site import BLOCK, MemorySite
from platevault.client.new_file import CannotWrite
from platevault.errors import Conflict, Invalid, NotFound

CONTENT = random.Random(1).randbytes(BLOCK) + bytes(2 * BLOCK) + b"the end" * 1000


@pytest.fixture
def backed_up(site: MemorySite, tmp_path: Path) -> MemorySite:
    (tmp_path / "disk").write_bytes(CONTENT)
    site.back_up([f"disk.img:{tmp_path / 'disk'}"])
    return site


def test_an_existing_file_is_a_conflict_before_anything_is_fetched(backed_up: MemorySite, tmp_path: Path) -> None:
    (tmp_path / "back").write_bytes(b"precious")
    with pytest.raises(Conflict):
        backed_up.restore("disk.img", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"precious"
    assert backed_up.last_reader.fetched == []


@pytest.mark.parametrize("old", [b"short", b"x" * (len(CONTENT) + 5_000_000)])
def test_overwriting_replaces_all_of_a_file(backed_up: MemorySite, tmp_path: Path, old: bytes) -> None:
    (tmp_path / "back").write_bytes(old)
    backed_up.restore("disk.img", tmp_path / "back", overwrite=True)
    assert (tmp_path / "back").read_bytes() == CONTENT


def test_a_pipe_gets_the_bytes_in_order(backed_up: MemorySite) -> None:
    with subprocess.Popen(["sha256sum"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        backed_up.restore("disk.img", Path(f"/proc/self/fd/{program.stdin.fileno()}"))
        program.stdin.close()
        assert program.stdout.read().split()[0].decode() == hashlib.sha256(CONTENT).hexdigest()


def test_a_missing_archive_and_a_missing_folder_are_told(backed_up: MemorySite, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"other\.img\.fidx is not in the snapshot; it has disk\.img\.fidx"):
        backed_up.restore("other.img", tmp_path / "back")
    with pytest.raises(CannotWrite):
        backed_up.restore("disk.img", tmp_path / "no" / "back")


def test_a_block_device_is_read_and_written_whole(site: MemorySite, tmp_path: Path) -> None:
    size = len(CONTENT) // 512 * 512
    (tmp_path / "backing").write_bytes(CONTENT[:size])
    with loop_device(tmp_path / "backing") as device:
        site.back_up([f"disk.img:{device}"])
        device.write_bytes(b"\xff" * size)
        site.restore("disk.img", device)
        assert device.read_bytes() == CONTENT[:size], "zeros must be written over what was there"


def test_a_block_device_that_is_too_small_is_not_touched(backed_up: MemorySite, tmp_path: Path) -> None:
    (tmp_path / "backing").write_bytes(b"\xff" * BLOCK)
    with loop_device(tmp_path / "backing") as device:
        with pytest.raises(Invalid, match=f"has {BLOCK} bytes, the image {len(CONTENT)}"):
            backed_up.restore("disk.img", device)
        assert device.read_bytes() == b"\xff" * BLOCK
