"""The directory itself: made complete, refused when it is something else, removed without touching what is not ours."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from platevault.clock import SystemClock
from platevault.errors import PlatevaultError
from platevault.store.filesystem import layout
from platevault.store.filesystem.datastore import FilesystemDatastore
from platevault.store.filesystem.layout import DirectoryInUse, NoDatastore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made under a strict umask, which must not show in what the reference checks."""
    path = tmp_path_factory.mktemp("layout") / "store"
    path.mkdir(0o755)
    umask = os.umask(0o077)
    try:
        layout.make(path)
    finally:
        os.umask(umask)
    return path


def open_store(path: Path) -> FilesystemDatastore:
    return FilesystemDatastore("store", path, locks_dir=path.parent / "locks", clock=SystemClock())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_store_has_the_modes_that_the_reference_checks(made: Path) -> None:
    folders = os.listdir(made / ".chunks")
    assert len(folders) == 65536
    assert {mode(made / ".chunks" / name) for name in folders} == {0o750}
    assert (mode(made), mode(made / ".chunks"), mode(made / ".lock")) == (0o755, 0o750, 0o644)
    assert sorted(os.listdir(made)) == [".chunks", ".lock"]
    open_store(made).close()


def test_a_store_is_made_once(made: Path) -> None:
    with pytest.raises(DirectoryInUse, match="holds a datastore already"):
        layout.make(made)


def test_a_directory_with_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").touch()
    with pytest.raises(DirectoryInUse, match=r"letters\.txt"):
        layout.make(tmp_path)
    assert os.listdir(tmp_path) == ["letters.txt"]


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({}, "no directory .chunks"),
        ({".chunks": None}, "no file .lock"),
        ({".chunks": "a file", ".lock": ""}, "no directory .chunks"),
        ({".chunks": None, ".lock": "", ".platevault-layout": "2\n"}, "layout 2, this program knows 1"),
        ({".chunks": None, ".lock": "", ".platevault-layout": "?"}, "layout"),
    ],
)
def test_other_directories_are_refused_in_one_line(tmp_path: Path, entries: dict[str, str | None], text: str) -> None:
    for name, content in entries.items():
        (tmp_path / name).mkdir() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(NoDatastore, match=text) as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(NoDatastore, match="does not exist"):
        open_store(tmp_path / "nowhere")


def test_the_chunk_directory_may_not_be_a_link(tmp_path: Path, made: Path) -> None:
    (tmp_path / ".chunks").symlink_to(made / ".chunks")
    (tmp_path / ".lock").touch()
    with pytest.raises(NoDatastore):
        open_store(tmp_path)


def test_destroy_removes_ours_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for name in (".chunks/0000", "vm/100", "ns/a", "photos"):
        (path / name).mkdir(parents=True)
    for name in (".lock", ".gc-status"):
        (path / name).touch()
    layout.destroy(path)
    assert os.listdir(path) == ["photos"]
    (path / "photos").rmdir()
    layout.destroy(path)
    assert not path.exists()


def test_destroy_leaves_a_directory_alone_that_was_never_ours(tmp_path: Path) -> None:
    """The disk of the datastore is not mounted, and somebody else uses the place."""
    (tmp_path / "vm" / "images").mkdir(parents=True)
    with pytest.raises(NoDatastore, match=r"it has no file \.lock"):
        layout.destroy(tmp_path)
    assert (tmp_path / "vm" / "images").is_dir()
    layout.destroy(tmp_path / "nowhere")


def test_an_interrupted_creation_is_refused_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = os.mkdir

    def mkdir(*args: object, **options: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise OSError(28, "No space left on device")
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(PlatevaultError, match="No space left"):
        layout.make(tmp_path / "store")
    monkeypatch.undo()
    with pytest.raises(NoDatastore):
        open_store(tmp_path / "store")
