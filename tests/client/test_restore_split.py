"""Split archives, as real clients write them with change detection: the same tree comes back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from kit.memory_site import MemorySite
from kit.pxar_trees import FILE, FOLDER
from kit.recorded_tree import VECTORS, list_tree, make_removable, recorded, recorded_listing
from platevault.client.tree.inode_flags import NODUMP
from platevault.formats import blob, dynamic_index, manifest
from platevault.formats.keys import plain_digest
from platevault.formats.manifest import CryptMode, Manifest, ManifestFile
from platevault.formats.names import MANIFEST_NAME
from platevault.formats.pxar import items
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.entry import Kind
from platevault.formats.pxar.items import CorruptArchive, item


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "target"
    make_removable(tmp_path / "target")


def put(site: MemorySite, streams: dict[str, bytes], lengths: Sequence[int]) -> None:
    """Let the server have a snapshot with these streams, cut into chunks of these lengths in turn."""
    files, entries = site.server.store.snapshots.setdefault(str(site.name()), {}), []
    for name, data in streams.items():
        ends, digests = [], []
        place = number = 0
        while place < len(data):
            chunk = data[place : place + lengths[number % len(lengths)]]
            place, number = place + len(chunk), number + 1
            digest = plain_digest(chunk)
            site.server.store.chunks[digest.hex()] = blob.encode(chunk)
            ends.append(place)
            digests.append(digest)
        table = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        index = dynamic_index.from_arrays(UUID(int=1), 1, np.array(ends, np.uint64), table)
        files[name] = dynamic_index.encode(index)
        entries.append(ManifestFile(name, index.size, index.checksum().hex(), CryptMode.NONE))
    group = site.name().group
    made = Manifest(group.type, group.id, site.name().time, tuple(entries), {}, None)
    files[MANIFEST_NAME] = manifest.encode_blob(made)


def payload_stream() -> bytes:
    """The recorded payload stream, made of the contents in the recorded archive."""
    out = bytearray(item(items.PAYLOAD_START, b""))
    decoder = Decoder(BytesIO(recorded("full.pxar")).read)
    for entry in decoder:
        if entry.kind is Kind.FILE:
            out += item(items.PAYLOAD, b"".join(decoder.content()))
    out += item(items.PAYLOAD_TAIL, b"")
    wanted = json.loads((VECTORS / "full.client.json").read_text())["client"]["tree-data/1752000001/full.ppxar"]
    assert hashlib.sha256(out).hexdigest() == wanted["sha256"]
    return bytes(out)


def streams(prefix: str) -> dict[str, bytes]:
    """The second archive refers to the chunks of the first, which stand whole between its own markers."""
    payload = payload_stream()
    if prefix != "full":
        payload = payload[:16] + payload + payload[-16:]
    return {"root.mpxar.didx": recorded(f"{prefix}.mpxar"), "root.ppxar.didx": payload}


@pytest.mark.parametrize("prefix", ["full", "full.second"])
@pytest.mark.parametrize("archive", ["root.mpxar", "root.pxar"])
def test_a_recorded_split_archive_comes_back(site: MemorySite, target: Path, prefix: str, archive: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("restoring all of the recorded tree needs root")
    put(site, streams(prefix), [70_000, 301_000])
    site.restore(archive, target)
    if site.warnings:
        pytest.skip("no flags, ACLs or attributes as ext4 has them here")
    assert list_tree(target) == [replace(one, flags=one.flags & ~NODUMP) for one in recorded_listing()]


def test_only_the_chunks_of_chosen_files_are_fetched(site: MemorySite, target: Path) -> None:
    put(site, streams("full"), [50_000])
    site.restore("root.mpxar", target, patterns=("/hello.txt", "random-300k", "third"))
    found = {os.fspath(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found["hello.txt"] == b"hello pxar\n"
    assert sorted(found) == ["data/random-300k", "hello.txt", "links/sub/third"]
    payload = site.last_reader.files["root.ppxar.didx"]
    fetched = set(site.last_reader.fetched)
    index = dynamic_index.decode(payload)
    assert sum(index.digest(number).hex() in fetched for number in range(index.count)) < 12 < index.count


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload[:16] + bytes(len(payload) - 16),
        lambda payload: payload[:38],
        lambda payload: payload[:16] + b"x" + payload[16:],
    ],
)
def test_another_payload_stream_is_refused(site: MemorySite, target: Path, change: Callable[[bytes], bytes]) -> None:
    metadata, payload = bytearray(), bytearray()
    encoder = Encoder(metadata.extend, payload.extend)
    encoder.start_root(FOLDER)
    encoder.add_file(b"a", FILE, b"", b"content")
    encoder.end_directory()
    encoder.finish()
    put(site, {"root.mpxar.didx": bytes(metadata), "root.ppxar.didx": change(bytes(payload))}, [30])
    with pytest.raises(CorruptArchive):
        site.restore("root.mpxar", target)
