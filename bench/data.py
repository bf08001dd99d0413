"""Data for the figures, made once and kept in bench/data: disk images, a tree of small files, random bytes.

Same kind as the reference figures were measured with: an image of 1 GiB, a quarter of it zero, the rest contents of /usr and 40 MiB
of random bytes; its second version with 35 of 256 blocks changed; a tree of 60,000 files of at most 256 KiB from /usr. With the same
scale and the same /usr the data is the same.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.figure import MIB, Scale

BLOCK_BYTES = 4 * MIB
AREA_BYTES = 64 * 1024
IMAGE_BYTES = 1024 * MIB
ZERO_SHARE = 0.26
RANDOM_SHARE = 0.04
CHANGED_SHARE = 35 / 256
TREE_FILES = 60_000
TREE_FILE_BYTES = 256 * 1024
COPY_BYTES = MIB


def image(scale: Scale) -> tuple[Path, Path]:
    """A disk image and its later version."""
    first, second = scale.data / "disk.raw", scale.data / "disk-later.raw"
    if not second.exists():
        _write_image(first, scale.bytes(IMAGE_BYTES), random.Random(1))
        _write_changed(first, scale.data / "disk.tmp", random.Random(2))
        (scale.data / "disk.tmp").rename(second)
    return first, second


def _write_image(path: Path, size: int, source: random.Random) -> None:
    """Runs of zero, random and real blocks, so that zeroes lie together as on a real disk."""
    contents = _contents_of_usr()
    with path.open("wb") as file:
        while file.tell() < size:
            run = min(size - file.tell(), source.randrange(1, 9) * BLOCK_BYTES)
            kind = source.random()
            if kind < ZERO_SHARE:
                pieces: Iterator[bytes] = iter(bytes(COPY_BYTES) for _ in range(run // COPY_BYTES))
            elif kind < ZERO_SHARE + RANDOM_SHARE:
                pieces = iter(source.randbytes(COPY_BYTES) for _ in range(run // COPY_BYTES))
            else:
                pieces = (next(contents) for _ in range(run // COPY_BYTES))
            for piece in pieces:
                file.write(piece)


def _contents_of_usr() -> Iterator[bytes]:
    """Files of /usr one behind the other on 4 KiB borders, as an installed system's disk has them, in pieces of 1 MiB, for ever."""
    pending = bytearray()
    while True:
        for path in _files("/usr", 16 * MIB):
            try:
                pending += Path(path).read_bytes()
            except OSError:
                continue
            pending += bytes(-len(pending) % 4096)
            while len(pending) >= COPY_BYTES:
                yield bytes(pending[:COPY_BYTES])
                del pending[:COPY_BYTES]


def _files(root: str, largest: int) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path) and 0 < os.path.getsize(path) <= largest:
                yield path


def _write_changed(first: Path, later: Path, source: random.Random) -> None:
    """Change one 64 KiB area in some of the blocks, to bytes as compressible as before."""
    shutil.copyfile(first, later)
    blocks = first.stat().st_size // BLOCK_BYTES
    with later.open("r+b") as file:
        for block in source.sample(range(blocks), max(1, round(blocks * CHANGED_SHARE))):
            file.seek(block * BLOCK_BYTES)
            area = file.read(AREA_BYTES)
            file.seek(block * BLOCK_BYTES)
            file.write(bytes(reversed(area)) if any(area) else source.randbytes(AREA_BYTES))


def tree(scale: Scale) -> Path:
    """A directory of many small files."""
    path = scale.data / "tree"
    if not path.exists():
        made = scale.data / "tree.tmp"
        shutil.rmtree(made, ignore_errors=True)
        _copy_tree(made, scale.count(TREE_FILES))
        made.rename(path)
    return path


def _copy_tree(target: Path, count: int) -> None:
    made = 0
    for copy in range(100):
        for path in _files("/usr", TREE_FILE_BYTES):
            if made == count:
                return
            name = target / str(copy) / path.lstrip("/")
            name.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(path, name)
            except OSError:
                continue
            made += 1
            if made % 50 == 0:
                os.setxattr(name, "user.bench", str(made).encode())


def random_chunks(size: int) -> list[bytes]:
    """New random blocks of 4 MiB at every call, so that nothing deduplicates against an earlier run."""
    return [os.urandom(BLOCK_BYTES) for _ in range(size // BLOCK_BYTES)]


def size_of(tree_path: Path) -> tuple[int, int]:
    """Files and bytes below a directory."""
    sizes = [entry.stat().st_size for entry in tree_path.rglob("*") if entry.is_file() and not entry.is_symlink()]
    return len(sizes), sum(sizes)
