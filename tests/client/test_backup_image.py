"""Images through a whole backup and restore, over real TLS and HTTP/2, against a server that refuses what real ones refuse."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from kit.memory_site import BLOCK, MemorySite
from platevault.client.encryption import Encryption
from platevault.formats.fixed_index import decode
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode

ZERO = bytes(BLOCK)


def noise(seed: int, size: int = BLOCK) -> bytes:
    return random.Random(seed).randbytes(size)


def write(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(blocks))
    return path


def test_an_image_comes_back_byte_for_byte(site: MemorySite, tmp_path: Path) -> None:
    image = write(tmp_path / "disk", noise(1), ZERO, b"text " * 100_000, noise(2, BLOCK + 5000))
    report = site.back_up([f"disk.img:{image}"])
    assert site.restore("disk.img", tmp_path / "back") == b""
    assert (tmp_path / "back").read_bytes() == image.read_bytes()
    assert site.restore("disk.img.fidx", None) == image.read_bytes()
    (file,) = report.files
    assert (file.filename, file.size, file.crypt_mode) == ("disk.img.fidx", image.stat().st_size, CryptMode.NONE)
    assert site.warnings == []


@pytest.mark.parametrize("size", [1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_every_length_works_and_a_short_last_block_is_not_padded(site: MemorySite, tmp_path: Path, size: int) -> None:
    image = write(tmp_path / "disk", noise(3, size))
    site.back_up([f"disk.img:{image}"])
    assert site.restore("disk.img", None) == image.read_bytes()
    index = decode(site.server.store.snapshots[str(site.name())]["disk.img.fidx"])
    assert (index.size, index.count) == (size, -(-size // BLOCK))
    assert sum(site.last.known[digest] for digest in site.last.uploads) == size


def test_the_second_backup_sends_what_changed_and_nothing_else(site: MemorySite, tmp_path: Path) -> None:
    blocks = [noise(number) for number in range(6)]
    image = write(tmp_path / "disk", *blocks, b"short end")
    site.back_up([f"disk.img:{image}"])
    assert len(site.last.uploads) == 7
    blocks[2] = noise(99)
    write(image, *blocks, b"short end")
    report = site.back_up([f"disk.img:{image}"], 1)
    assert len(site.last.uploads) == 1
    counters = report.counters["disk.img.fidx"]
    assert (counters.chunks, counters.uploaded_chunks, counters.uploaded_bytes) == (7, 1, BLOCK)
    assert counters.reused_bytes == 5 * BLOCK + len(b"short end")
    assert site.restore("disk.img", None, 1) == image.read_bytes()
    assert site.restore("disk.img", None, 0) != image.read_bytes()


def test_equal_blocks_are_sent_once_also_those_on_their_way(site: MemorySite, tmp_path: Path) -> None:
    image = write(tmp_path / "disk", *[noise(1), ZERO] * 20)
    site.back_up([f"disk.img:{image}"])
    assert len(site.last.uploads) == 2


def test_holes_are_not_read_and_come_back_as_holes(site: MemorySite, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * BLOCK)
        os.pwrite(file.fileno(), noise(1), 10 * BLOCK)
    site.back_up([f"disk.img:{image}"])
    assert len(site.last.uploads) == 2
    site.restore("disk.img", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == 64 * BLOCK
    assert (tmp_path / "back").stat().st_blocks * 512 <= 2 * BLOCK
    assert (tmp_path / "back").read_bytes() == image.read_bytes()
    assert len(site.last_reader.fetched) == 1, "the zero block needs no request"


def test_a_block_that_stands_at_several_places_is_fetched_once(site: MemorySite, tmp_path: Path) -> None:
    image = write(tmp_path / "disk", *[noise(1), noise(2)] * 5)
    site.back_up([f"disk.img:{image}"])
    site.restore("disk.img", tmp_path / "back")
    assert sorted(site.last_reader.fetched) == sorted(set(site.last_reader.fetched))
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


def test_several_archives_make_one_snapshot(site: MemorySite, tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", noise(1)), write(tmp_path / "b", noise(2, 100))
    conf = write(tmp_path / "c", b"key: value\n" * 50)
    report = site.back_up([f"a.img:{first}", f"b.img:{second}", f"vm.conf:{conf}", f"run.log:{conf}"])
    assert [file.filename for file in report.files] == ["a.img.fidx", "b.img.fidx", "vm.conf.blob", "run.log.blob"]
    assert site.restore("vm.conf", None) == conf.read_bytes()
    assert site.restore("b.img", None) == second.read_bytes()


@pytest.mark.parametrize("content", [b"", b"x", noise(1, 100_000)], ids=["empty", "one byte", "incompressible"])
def test_small_files_come_back(site: MemorySite, tmp_path: Path, content: bytes) -> None:
    site.back_up([f"x.conf:{write(tmp_path / 'x', content)}"])
    assert site.restore("x.conf", None) == content
    site.restore("x.conf", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


def test_a_large_hole_costs_little(site: MemorySite, tmp_path: Path) -> None:
    """A hole of 40 GiB: ten thousand blocks, one upload, appended in pieces of 128."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(10_000 * BLOCK)
    report = site.back_up([f"disk.img:{image}"])
    assert report.counters["disk.img.fidx"].chunks == 10_000
    assert len(site.last.uploads) == 1


def test_encrypted_blocks_are_unreadable_without_the_key_and_reused_with_it(site: MemorySite, tmp_path: Path) -> None:
    key = CryptKey.generate()
    image = write(tmp_path / "disk", noise(1), ZERO, b"secret " * 1000)
    for number in range(2):
        site.back_up(
            [f"disk.img:{image}", f"vm.conf:{image}"] if number else [f"disk.img:{image}"], number, Encryption(CryptMode.ENCRYPT, key)
        )
    assert site.last.uploads == []
    assert not any(b"secret" in chunk for chunk in site.server.store.chunks.values())
    assert site.restore("disk.img", None, 1, key=key) == image.read_bytes()
