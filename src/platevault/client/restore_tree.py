"""Restore a directory from a pxar archive.

Source: spec formats §8. Chunks are fetched ahead and opened by the workers (`chunk_fetch`), the tree is made in the calling thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from platevault.client.archive_reader import ArchiveFile
from platevault.client.chunk_fetch import ChunkFetcher
from platevault.client.reader import SnapshotReader
from platevault.client.statistics import Progress
from platevault.client.tree.extractor import Extractor, open_target
from platevault.client.tree.restore_target import Target
from platevault.client.tree.selection import Selection
from platevault.client.tree.tree_log import TreeLog
from platevault.client.workers import Workers
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.in_stream import Read


def restore_tree(
    reader: SnapshotReader,
    name: str,
    target: Path,
    patterns: tuple[str, ...],
    workers: Workers,
    progress: Progress,
    *,
    overwrite: bool,
    allow_existing_dirs: bool,
    log: TreeLog,
) -> None:
    """Restore the entries of `name` (with .didx) that match `patterns`, or all, into the directory `target`, which may exist.

    overwrite: what exists and is no directory is replaced. allow_existing_dirs: directories of the archive may exist in the target.
    What cannot be restored for itself goes to `log`. Raises NotFound, BadPattern, Conflict, CannotWrite, Corrupt, MissingKey.
    """
    selection = Selection(patterns)
    index = reader.index(name)
    chunks = ChunkFetcher(reader, reader.decoder(name), workers).in_order(
        (index.digest(number), end - start) for number in range(index.count) for start, end in [index.chunk_span(number)]
    )
    progress.begin(name, index.size)
    pieces = _counted(chunks, progress)
    extractor = Extractor(
        Target(overwrite=overwrite, reuse=allow_existing_dirs), selection, log, partial(_read_from, ArchiveFile(reader, name))
    )
    extractor.run(Decoder(lambda _: next(pieces, b"")), open_target(target))
    progress.end()


def _counted(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress.advance(len(chunk))
        yield chunk


def _read_from(archive: ArchiveFile, offset: int) -> Read:
    """Reads the archive from a place on."""
    place = offset

    def read(size: int) -> bytes:
        nonlocal place
        data = archive.read_at(place, size)
        place += len(data)
        return data

    return read
