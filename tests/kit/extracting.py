"""Restore archives to disk, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from platevault.client.tree.extractor import Extractor, open_target
from platevault.client.tree.restore_target import Target
from platevault.client.tree.selection import Selection
from platevault.client.tree.tree_log import TreeLog
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.in_stream import Read


@dataclass
class Extracted:
    """What was warned of, and how many entries could not be restored."""

    warnings: list[str]
    skipped: int


def extract(archive: bytes, root: Path, *patterns: str, overwrite: bool = False, reuse: bool = False, piece: int = 100_000) -> Extracted:
    """Restore an archive that comes in pieces of `piece` bytes."""

    def again(offset: int) -> Read:
        return BytesIO(archive[offset:]).read

    stream, warnings = BytesIO(archive), list[str]()
    log = TreeLog(warnings.append)
    extractor = Extractor(Target(overwrite=overwrite, reuse=reuse), Selection(patterns), log, again)
    extractor.run(Decoder(lambda _: stream.read(piece)), open_target(root))
    return Extracted(warnings, log.skipped)
