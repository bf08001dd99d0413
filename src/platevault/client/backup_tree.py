"""Back up a directory: a pxar archive cut by content, and its names in the catalog of the snapshot.

Source: spec formats §7, §8, §9, wire-protocol §6.2. The archiver runs in the calling thread, the work on chunks in the workers. One catalog
serves all archives of a snapshot.
"""

from __future__ import annotations


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """What of a directory is archived. Without `all_file_systems` only its own file system and those mounted at `include_dev`."""

    excludes: tuple[str, ...] = ()
    include_dev: tuple[str, ...] = ()
    all_file_systems: bool = False
    entries_max: int | None = None


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
    skipped: Callable[[str], None],
) -> ClosedIndex:
    """Archive the directory of `spec` and write it under its stored name. skipped: is told of each entry that cannot be read."""
    stream = ChunkStream(session, sender, workers, spec.stored_name, average=TREE_AVERAGE_BYTES, counters=counters)
    raise NotImplementedError
