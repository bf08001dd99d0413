"""Bring a disk image back: into a file (sparse), onto a block device, or into a stream.

Source: spec formats §3.1, wire-protocol §6.5. Zero blocks are neither fetched nor, in a fresh file, written. A block that stands at several
places is fetched once. Memory: see `chunk_fetch`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from platevault.client.chunk_fetch import ChunkFetcher
from platevault.client.new_file import CannotWrite, NewFile, is_pipe, open_target
from platevault.client.reader import SnapshotReader
from platevault.client.statistics import Progress
from platevault.client.workers import Workers
from platevault.errors import Corrupt, Invalid
from platevault.formats.fixed_index import FixedIndex


def restore_image(reader: SnapshotReader, name: str, target: Path, workers: Workers, progress: Progress, *, overwrite: bool = False) -> int:
    """Write the image `name` (with .fidx) to `target`; returns its bytes.

    overwrite: a file that exists may be replaced. A block device is always written, and must be large enough.
    Raises Conflict, CannotWrite, or what reading raises. A file is then as it was before; a device is incomplete.
    """
    if is_pipe(target):
        with open_target(target, overwrite=overwrite) as stream:
            return stream_image(reader, name, stream, workers, progress)
    index = _fixed(reader, name)
    progress.begin(name, index.size)
    with _Target(target, index.size, overwrite=overwrite) as out:
        places = _places(index, b"" if out.must_write_zeros else reader.decoder(name).zero_digest(index.chunk_size))
        fetcher = ChunkFetcher(reader, reader.decoder(name), workers)
        fetcher.each((digest, _length(index, at[0]), partial(_write_all, out, index, at, progress)) for digest, at in places)
        out.commit()
    progress.end()
    return index.size


def stream_image(reader: SnapshotReader, name: str, out: BinaryIO, workers: Workers, progress: Progress) -> int:
    """Write the image `name` to a stream in order; returns its bytes."""
    index = _fixed(reader, name)
    progress.begin(name, index.size)
    fetcher = ChunkFetcher(reader, reader.decoder(name), workers)
    for data in fetcher.in_order((index.digest(number), _length(index, number)) for number in range(index.count)):
        out.write(data)
        progress.advance(len(data))
    out.flush()
    progress.end()
    return index.size


def _fixed(reader: SnapshotReader, name: str) -> FixedIndex:
    index = reader.index(name)
    if not isinstance(index, FixedIndex):
        raise Corrupt(f"{name} is no fixed index")
    return index


def _length(index: FixedIndex, number: int) -> int:
    start, end = index.chunk_span(number)
    return end - start


def _places(index: FixedIndex, skip: bytes) -> Iterator[tuple[bytes, list[int]]]:
    """Every digest but `skip` with the numbers of its blocks, in the order of first use."""
    places: dict[bytes, list[int]] = {}
    for number in range(index.count):
        places.setdefault(index.digest(number), []).append(number)
    places.pop(skip, None)
    yield from places.items()


def _write_all(out: _Target, index: FixedIndex, numbers: list[int], progress: Progress, data: bytes) -> None:
    for number in numbers:
        out.write(index.chunk_span(number)[0], data)
        progress.advance(len(data))


class _Target:
    """An open file or block device of the right size. `write` is safe from several threads."""

    def __init__(self, path: Path, size: int, *, overwrite: bool) -> None:
        self._path = path
        self._new = None if path.is_block_device() else NewFile(path, overwrite=overwrite)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if self._new is None else self._new.descriptor
            self.must_write_zeros = self._prepare(size)
        except OSError as error:
            self.close()
            raise CannotWrite(f"cannot write {path}: {error.strerror}", path=path) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, size: int) -> bool:
        """Give a file its size; on a device, check that there is room. Returns whether zeros must be written."""
        if self._new is not None:
            os.ftruncate(self._file, size)
            return False
        room = os.lseek(self._file, 0, os.SEEK_END)
        if room < size:
            raise Invalid(f"{self._path} has {room} bytes, the image {size}", path=self._path)
        return True

    def write(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._file, view, offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise CannotWrite(f"cannot write {self._path}: {error.strerror}", path=self._path) from error

    def commit(self) -> None:
        """All is written: a device has it when its cache is flushed, a file gets its name."""
        if self._new is not None:
            self._new.commit()
            return
        try:
            os.fsync(self._file)  # a device tells of failed writes only here
        except OSError as error:
            raise CannotWrite(f"cannot write {self._path}: {error.strerror}", path=self._path) from error

    def close(self) -> None:
        """Give the descriptor back; a file that was not committed vanishes."""
        if self._new is not None:
            self._new.__exit__()
        elif hasattr(self, "_file"):
            os.close(self._file)

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
