from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from platevault.client.new_file import CannotWrite, NewFile, is_pipe, open_target
from platevault.errors import Conflict


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, error: Exception, *, overwrite: bool) -> None:
    with open_target(path, overwrite=overwrite) as out:
        out.write(b"half")
        raise error


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with open_target(tmp_path / "disk", overwrite=False) as out:
        out.write(b"content")
        assert not (tmp_path / "disk").exists()
    assert (tmp_path / "disk").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o600
    assert names(tmp_path) == ["disk"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failure_leaves_nothing_and_an_old_file_as_it_was(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "disk"
    if overwrite:
        path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_half(path, RuntimeError(), overwrite=overwrite)
    assert names(tmp_path) == (["disk"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"old"


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"old"), lambda path: path.symlink_to("nowhere")], ids=["file", "dangling link"]
)
def test_what_exists_is_not_touched(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "disk")
    with pytest.raises(Conflict, match="--overwrite"):
        NewFile(tmp_path / "disk")
    assert names(tmp_path) == ["disk"]


def test_a_file_that_appears_meanwhile_is_not_touched(tmp_path: Path) -> None:
    new = NewFile(tmp_path / "disk")
    (tmp_path / "disk").write_bytes(b"faster")
    with pytest.raises(Conflict), new:
        new.commit()
    assert (tmp_path / "disk").read_bytes() == b"faster"
    assert names(tmp_path) == ["disk"]


@pytest.mark.parametrize("appears", [True, False])
def test_file_systems_without_hard_links_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appears: bool) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_link)
    new = NewFile(tmp_path / "disk")
    if appears:
        (tmp_path / "disk").write_bytes(b"faster")
        with pytest.raises(Conflict), new:
            new.commit()
    else:
        with new:
            new.commit()
    assert (tmp_path / "disk").read_bytes() == (b"faster" if appears else b"")
    assert names(tmp_path) == ["disk"]


def test_overwriting_keeps_mode_and_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    with open_target(tmp_path / "link", overwrite=True) as out:
        out.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


def test_overwriting_needs_no_old_file(tmp_path: Path) -> None:
    with open_target(tmp_path / "disk", overwrite=True) as out:
        out.write(b"new")
    assert (tmp_path / "disk").read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_directory_is_no_target(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(Conflict, match="is a directory"):
        NewFile(tmp_path, overwrite=overwrite)


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file or directory"):
        NewFile(tmp_path / "no" / "disk")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No space left"):
        write_half(tmp_path / "disk", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), overwrite=False)
    assert names(tmp_path) == []


def test_the_longest_name_works(tmp_path: Path) -> None:
    with open_target(tmp_path / ("x" * 255), overwrite=False) as out:
        out.write(b"content")
    assert names(tmp_path) == ["x" * 255]


def test_pipes_and_devices_are_written_in_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with open_target(tmp_path / "pipe", overwrite=False) as out:
        out.write(b"content")
    reader.join(20)
    assert received == [b"content"]
    with open_target(Path("/dev/null"), overwrite=False) as out:
        out.write(b"content")
    assert Path("/dev/null").is_char_device()
    assert [is_pipe(path) for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path, tmp_path / "missing")] == [True, True, False, False]
