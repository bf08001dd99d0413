"""Restore a directory from a pxar archive, whole or split.

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
from platevault.client.tree.payloads import Payloads
from platevault.client.tree.restore_target import Target
from platevault.client.tree.selection import Selection
from platevault.client.tree.tree_log import TreeLog
from platevault.client.workers import Workers
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.in_stream import Read

TREE_SUFFIX = ".pxar.didx"
METADATA_SUFFIX = ".mpxar.didx"
PAYLOAD_SUFFIX = ".ppxar.didx"


def is_tree(name: str) -> bool:
    """Whether a server name is that of a directory: an archive, or the metadata of a split one."""
    return name.endswith((TREE_SUFFIX, METADATA_SUFFIX))


def stored_tree(reader: SnapshotReader, name: str) -> str:
    """The name under which the snapshot has a directory: `root.pxar.didx` may be stored as a split archive."""
    split = name.removesuffix(TREE_SUFFIX) + METADATA_SUFFIX
    return split if name.endswith(TREE_SUFFIX) and reader.manifest.file(name) is None and reader.manifest.file(split) else name


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
    """Restore the entries of `name` (.pxar.didx, .mpxar.didx) that match `patterns`, or all, into the directory `target`, which may exist.

    overwrite: what exists and is no directory is replaced. allow_existing_dirs: directories of the archive may exist in the target.
    What cannot be restored for itself goes to `log`. Raises NotFound, BadPattern, Conflict, CannotWrite, Corrupt, MissingKey.
    """
    selection = Selection(patterns)
    index = reader.index(name)
    chunks = ChunkFetcher(reader, reader.decoder(name), workers).in_order(
        (index.digest(number), end - start) for number in range(index.count) for start, end in [index.chunk_span(number)]
    )
    payloads = None
    if name.endswith(METADATA_SUFFIX):
        stream = name.removesuffix(METADATA_SUFFIX) + PAYLOAD_SUFFIX
        payloads = Payloads(reader, stream, workers, progress, everything=selection.all)
    progress.begin(name, index.size + (payloads.size if payloads else 0))
    pieces = _counted(chunks, progress)
    again = partial(_read_from, ArchiveFile(reader, name))
    made = Target(overwrite=overwrite, reuse=allow_existing_dirs)
    extractor = Extractor(made, selection, log, again, payloads.pieces if payloads else None)
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
