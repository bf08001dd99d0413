"""The tree that real clients have archived: the same bytes, and back to the same tree."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from pathlib import Path

from kit.archiving import archive
from kit.extracting import extract
from kit.recorded_tree import VECTORS, list_tree, recorded, recorded_listing
from platevault.client.tree.inode_flags import NODUMP
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.entry import Kind


def test_the_archive_and_the_catalog_are_the_recorded_ones(recorded_tree: Path) -> None:
    assert list_tree(recorded_tree) == list(recorded_listing())
    made = archive(recorded_tree)
    assert (made.warnings, made.skipped) == ([], 0)
    assert made.archive == recorded("full.pxar")
    assert made.catalog == recorded("full.catalog.pcat1")


def test_the_split_archive_is_the_recorded_one(recorded_tree: Path) -> None:
    made = archive(recorded_tree, split=True)
    assert made.archive == recorded("full.mpxar")
    wanted = json.loads((VECTORS / "full.client.json").read_text())["client"]["tree-data/1752000001/full.ppxar"]
    assert (len(made.payload), hashlib.sha256(made.payload).hexdigest()) == (wanted["size"], wanted["sha256"])


def test_the_recorded_archive_is_the_listing() -> None:
    """Everything that an archive keeps, compared without any file system."""
    listing = {one.path: one for one in recorded_listing()}
    decoder, folders = Decoder(BytesIO(recorded("full.pxar")).read), [b""]
    for entry in decoder:
        if entry.kind is Kind.END:
            folders.pop()
            continue
        one = listing.pop(folders[-1] + entry.name)
        if entry.kind is Kind.DIRECTORY:
            folders.append(one.path + b"/" if one.path else b"")
        if entry.kind is Kind.HARDLINK:
            assert entry.target == one.first
            continue
        assert (entry.stat.mode, entry.stat.uid, entry.stat.gid, entry.stat.mtime) == (one.mode, one.uid, one.gid, one.mtime_ns)
        assert entry.stat.flags == one.flags
        assert {name.decode(): value for name, value in entry.metadata.xattrs}.items() <= one.xattrs.items()
        if entry.kind is Kind.FILE:
            assert hashlib.sha256(b"".join(decoder.content())).hexdigest() == one.sha256
        assert entry.kind is not Kind.SYMLINK or entry.target == one.target
        assert entry.kind is not Kind.DEVICE or entry.device == one.device
    assert not listing


def test_the_recorded_archive_restores_to_the_listing(recorded_tree: Path, target: Path) -> None:
    """As the real client does it: everything but the flag nodump."""
    done = extract(recorded("full.pxar"), target)
    assert (done.warnings, done.skipped) == ([], 0)
    wanted = list_tree(recorded_tree)
    for one in wanted:
        one.flags &= ~NODUMP
    assert list_tree(target) == wanted
    assert (target / "data" / "sparse").stat().st_blocks * 512 < (target / "data" / "sparse").stat().st_size / 10
