"""Back up a directory: a pxar archive cut by content, and its names in the catalog of the snapshot.

Source: spec formats §7, §8, §9, wire-protocol §6.2. The archiver runs in the calling thread, the cutting in its own, the work on chunks in
the workers. One catalog serves all archives of a snapshot.
"""

from __future__ import annotations

import os

from platevault.client.archive_spec import ArchiveSpec
from platevault.client.chunk_sender import ChunkSender
from platevault.client.chunk_stream import CATALOG_AVERAGE_BYTES, TREE_AVERAGE_BYTES, ChunkStream
from platevault.client.index_writer import ClosedIndex
from platevault.client.piped_stream import PipedStream
from platevault.client.session import Session
from platevault.client.statistics import Counters, Progress
from platevault.client.tree.archiver import archive_tree
from platevault.client.tree.options import TreeOptions
from platevault.client.tree.tree_log import TreeLog
from platevault.client.workers import Workers
from platevault.formats.catalog import CatalogWriter
from platevault.formats.names import CATALOG_NAME
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.out_stream import Buffer


class CatalogUpload:
    """The catalog of the snapshot on its way: a second stream beside the archives."""

    def __init__(self, session: Session, sender: ChunkSender, workers: Workers, counters: Counters) -> None:
        self._stream = ChunkStream(session, sender, workers, CATALOG_NAME, average=CATALOG_AVERAGE_BYTES, counters=counters)
        self.writer = CatalogWriter(self._stream.write)

    def close(self) -> ClosedIndex:
        """After the last archive."""
        self.writer.finish()
        return self._stream.close()

    def abandon(self) -> None:
        """After a failure, when the session is closed."""
        self._stream.abandon()


def back_up_tree(
    session: Session,
    sender: ChunkSender,
    workers: Workers,
    spec: ArchiveSpec,
    catalog: CatalogUpload,
    *,
    options: TreeOptions,
    counters: Counters,
    progress: Progress,
    log: TreeLog,
) -> ClosedIndex:
    """Archive the directory of `spec` and write it under its stored name. What cannot be read goes to `log`, and the rest is written.

    Raises NotFound, UnreadableSource or Invalid for the directory itself, and what the server refuses.
    """
    stream = PipedStream(ChunkStream(session, sender, workers, spec.stored_name, average=TREE_AVERAGE_BYTES, counters=counters))

    def take(data: Buffer) -> None:
        stream.write(data)
        progress.advance(len(data))

    progress.begin(spec.stored_name, None)
    try:
        encoder = Encoder(take)
        catalog.writer.start_directory(os.fsencode(spec.stored_name))
        archive_tree(spec.path, encoder, catalog.writer, options, log)
        encoder.finish()
        catalog.writer.end_directory()
        closed = stream.close()
    except BaseException:
        # Closed first, so that nothing waits for a server while the threads are ended.
        session.close()
        workers.stop(drop=True)
        stream.abandon()
        raise
    progress.end()
    return closed
