from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platevault.client.image_source import ImageSource, UnreadableSource
from platevault.errors import Invalid, NotFound

PAGE = 65536  # a hole is no smaller than a block of the file system


def read(source: ImageSource, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    source.read_into(memoryview(buffer), offset)
    return bytes(buffer)


def test_reading_at_any_place(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "disk").write_bytes(content)
    with ImageSource(tmp_path / "disk") as source:
        assert source.size == 300_000
        for offset, size in ((0, 300_000), (299_999, 1), (12_345, 100_000), (5, 0)):
            assert read(source, offset, size) == content[offset : offset + size]


def test_holes_are_found_without_reading(tmp_path: Path) -> None:
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(40 * PAGE)
        for block in (3, 4, 20):
            os.pwrite(file.fileno(), b"data", block * PAGE)
    with ImageSource(tmp_path / "disk") as source:
        holes = [number for number in range(40) if source.is_hole(number * PAGE, (number + 1) * PAGE)]
    assert holes == [number for number in range(40) if number not in (3, 4, 20)]


@settings(max_examples=30)
@given(st.sets(st.integers(0, 15)), st.integers(1, 4))
def test_no_byte_of_data_is_ever_called_a_hole(tmp_path_factory: pytest.TempPathFactory, written: set[int], step: int) -> None:
    path = tmp_path_factory.mktemp("image") / "disk"
    with path.open("wb") as file:
        file.truncate(16 * PAGE)
        for block in written:
            os.pwrite(file.fileno(), b"x", block * PAGE + PAGE // 2)
    content = path.read_bytes()
    with ImageSource(path) as source:
        for start in range(0, 16 * PAGE, step * PAGE):
            end = min(start + step * PAGE, 16 * PAGE)
            if source.is_hole(start, end):
                assert not any(content[start:end])


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EOPNOTSUPP])
def test_where_the_kernel_cannot_tell_all_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    (tmp_path / "disk").write_bytes(bytes(4 * PAGE))
    real = os.lseek

    def no_holes(descriptor: int, offset: int, whence: int) -> int:
        if whence in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(error, os.strerror(error))
        return real(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", no_holes)
    with ImageSource(tmp_path / "disk") as source:
        assert not any(source.is_hole(number * PAGE, (number + 1) * PAGE) for number in range(4))


def test_an_image_that_became_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1000))
    with ImageSource(tmp_path / "disk") as source:
        os.truncate(tmp_path / "disk", 500)
        with pytest.raises(UnreadableSource, match="became shorter"):
            read(source, 0, 1000)


def test_a_read_error_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").write_bytes(bytes(1000))

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with ImageSource(tmp_path / "disk") as source:
        monkeypatch.setattr(os, "preadv", broken)
        with pytest.raises(UnreadableSource, match=r"cannot read .*disk at 512: Input/output error"):
            read(source, 512, 10)


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound):
        ImageSource(tmp_path / "missing")
    with pytest.raises(Invalid, match="is empty"):
        ImageSource(tmp_path / "empty")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(Invalid, match="known size"):
            ImageSource(path)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"x")
    (tmp_path / "empty").touch()
    before = len(os.listdir("/proc/self/fd"))
    with ImageSource(tmp_path / "disk"):
        pass
    with pytest.raises(Invalid):
        ImageSource(tmp_path / "empty")
    assert len(os.listdir("/proc/self/fd")) == before
