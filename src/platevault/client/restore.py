"""Bring one archive of a snapshot back, whatever its kind.

Source: spec wire-protocol §6.5, formats §4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from platevault.client.archive_reader import ArchiveStream
from platevault.client.new_file import open_target
from platevault.client.reader import SnapshotReader
from platevault.client.restore_image import restore_image, stream_image
from platevault.client.restore_tree import is_tree, restore_tree, stored_tree
from platevault.client.statistics import Progress
from platevault.client.tree.tree_log import TreeLog
from platevault.client.workers import Workers
from platevault.formats import manifest
from platevault.formats.names import MANIFEST_NAME, ArchiveKind, archive_kind, server_name

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """`patterns` choose entries of a .pxar; none means all."""

    patterns: tuple[str, ...] = ()
    overwrite: bool = False
    allow_existing_dirs: bool = False


def restore_archive(
    reader: SnapshotReader,
    archive: str,
    target: Path | None,
    stream: BinaryIO,
    options: RestoreOptions,
    progress: Progress,
    *,
    warn: Callable[[str], None],
) -> int:
    """Restore `archive` (a client's or a server's name) to `target`, or into `stream` when that is None.

    Returns how many entries of a directory could not be restored; each has been told to `warn`.
    Raises NotFound when the snapshot has no such archive, Conflict when the target exists, CannotWrite, Corrupt, MissingKey.
    """
    name = stored_tree(reader, server_name(archive))
    if archive_kind(name) is ArchiveKind.BLOB:
        data = manifest.to_json(reader.manifest) if name == MANIFEST_NAME else reader.blob(name)
        _write_blob(data, target, stream, overwrite=options.overwrite)
        return 0
    workers, log = Workers(), TreeLog(warn)
    try:
        if archive_kind(name) is ArchiveKind.FIXED:
            if target is None:
                stream_image(reader, name, stream, workers, progress)
            else:
                restore_image(reader, name, target, workers, progress, overwrite=options.overwrite)
        elif target is None or not is_tree(name):
            _copy(reader, name, target, stream, workers, progress, overwrite=options.overwrite)
        else:
            restore_tree(
                reader,
                name,
                target,
                options.patterns,
                workers,
                progress,
                overwrite=options.overwrite,
                allow_existing_dirs=options.allow_existing_dirs,
                log=log,
            )
    finally:
        reader.close()
        workers.stop(drop=True)
    return log.skipped


def _write_blob(data: bytes, target: Path | None, stream: BinaryIO, *, overwrite: bool) -> None:
    with _out(target, stream, overwrite=overwrite) as out:
        out.write(data)


def _copy(
    reader: SnapshotReader, name: str, target: Path | None, stream: BinaryIO, workers: Workers, progress: Progress, *, overwrite: bool
) -> None:
    """The bytes of a stream archive as they are, e.g. a .pxar for another program."""
    source = ArchiveStream(reader, name, workers, progress)
    progress.begin(name, source.size)
    with _out(target, stream, overwrite=overwrite) as out:
        while piece := source.read(COPY_BYTES):
            out.write(piece)
    progress.end()


@contextmanager
def _out(target: Path | None, stream: BinaryIO, *, overwrite: bool) -> Iterator[BinaryIO]:
    if target is None:
        yield stream
        stream.flush()
        return
    with open_target(target, overwrite=overwrite) as out:
        yield out
