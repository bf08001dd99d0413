"""Archives that the pxar crate wrote: the same operations give the same bytes, and they are read back as what they are."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from platevault.formats.pxar import items
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.entry import Entry, Kind
from platevault.formats.pxar.goodbye import heap_order
from platevault.formats.pxar.metadata import AclEntry, DefaultAcl, Metadata, Stat, encode_metadata
from platevault.formats.pxar.name_hash import name_hash

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "pxar" / "vectors.json").read_text())
ARCHIVES = {archive["name"]: archive for archive in VECTORS["archives"]}

KINDS = {
    "root": {Kind.DIRECTORY},
    "dir": {Kind.DIRECTORY},
    "end": {Kind.END},
    "file": {Kind.FILE},
    "ref": {Kind.FILE},
    "symlink": {Kind.SYMLINK},
    "hardlink": {Kind.HARDLINK},
    "device": {Kind.DEVICE},
    "special": {Kind.FIFO, Kind.SOCKET},
}


def stat_of(fields: dict[str, Any]) -> Stat:
    return Stat(fields["mode"], fields.get("flags", 0), fields["uid"], fields["gid"], fields["mtime"], fields["nanos"])


def metadata_of(fields: dict[str, Any]) -> Metadata:
    return Metadata(
        xattrs=tuple((name.encode(), bytes.fromhex(value)) for name, value in fields.get("xattrs", ())),
        users=entries(fields, "acl_users"),
        groups=entries(fields, "acl_groups"),
        group_permissions=fields.get("acl_group_obj"),
        default=DefaultAcl(*fields["acl_default"]) if "acl_default" in fields else None,
        default_users=entries(fields, "acl_default_users"),
        default_groups=entries(fields, "acl_default_groups"),
        capabilities=bytes.fromhex(fields["fcaps"]) if "fcaps" in fields else None,
        project=fields.get("projid"),
    )


def entries(fields: dict[str, Any], key: str) -> tuple[AclEntry, ...]:
    return tuple(AclEntry(*pair) for pair in fields.get(key, ()))


def run(encoder: Encoder, operations: list[list[Any]]) -> None:
    """Do what the vector says; its offsets of references count from the payload position."""
    places: dict[str, int] = {}
    for verb, *rest in operations:
        if verb == "advance":
            encoder.skip_payload(rest[0])
            continue
        if verb == "end":
            encoder.end_directory()
            continue
        if verb == "root":
            encoder.start_root(stat_of(rest[0]), encode_metadata(metadata_of(rest[0])))
            continue
        name = rest[0].encode()
        if verb == "hardlink":
            encoder.add_hardlink(name, places[rest[2]], rest[1].encode())
            continue
        stat, metadata = stat_of(rest[1]), encode_metadata(metadata_of(rest[1]))
        places[rest[0]] = encoder.position
        if verb == "file":
            encoder.add_file(name, stat, metadata, bytes.fromhex(rest[2]))
        elif verb == "ref":
            encoder.add_reference(name, stat, metadata, payload_offset=encoder.payload_position + rest[2], size=rest[3])
        elif verb == "dir":
            encoder.start_directory(name, stat, metadata)
        elif verb == "symlink":
            encoder.add_symlink(name, stat, rest[2].encode())
        elif verb == "device":
            encoder.add_device(name, stat, rest[2], rest[3])
        else:
            encoder.add_special(name, stat)


def encode(archive: dict[str, Any]) -> tuple[bytes, bytes, int]:
    out, payload = bytearray(), bytearray()
    prelude = archive["prelude_text"].encode() if "prelude_text" in archive else None
    encoder = Encoder(out.extend, payload.extend if archive["format_version"] == 2 else None, prelude=prelude)
    run(encoder, archive["operations"])
    length = encoder.finish()
    return bytes(out), bytes(payload), length


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_same_operations_give_the_same_bytes(name: str) -> None:
    archive = ARCHIVES[name]
    wanted = bytes.fromhex(archive.get("payload_hex", ""))
    if "injected_chunk" in archive:  # it comes into the stream on another way
        chunk = archive["injected_chunk"]
        wanted = wanted[: chunk["offset"]] + wanted[chunk["offset"] + chunk["length"] :]
    out, payload, length = encode(archive)
    assert out.hex() == archive["archive_hex"]
    assert payload == wanted
    assert length == archive["archive_length"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_it_is_read_back_as_what_it_is(name: str) -> None:
    archive = ARCHIVES[name]
    decoder = Decoder(BytesIO(bytes.fromhex(archive["archive_hex"])).read)
    for verb, *rest in archive["operations"]:
        if verb == "advance":
            continue
        entry = decoder.next()
        assert entry is not None
        assert entry.kind in KINDS[verb]
        check_entry(entry, verb, rest)
        if verb == "file":
            check_content(decoder, entry, rest[2])
    assert decoder.next() is None
    assert decoder.version == archive["format_version"]
    assert (decoder.prelude or b"").decode() == archive.get("prelude_text", "")


def check_entry(entry: Entry, verb: str, rest: list[Any]) -> None:
    if verb == "end":
        return
    assert entry.name.decode() == ("" if verb == "root" else rest[0])
    if verb == "hardlink":
        assert entry.target.decode() == rest[1]
        return
    fields = rest[0] if verb == "root" else rest[1]
    assert (entry.stat, entry.metadata) == (stat_of(fields), metadata_of(fields))
    if verb == "symlink":
        assert entry.target.decode() == rest[2]
    elif verb == "device":
        assert entry.device == tuple(rest[2:])


def check_content(decoder: Decoder, entry: Entry, content: str) -> None:
    assert entry.size == len(content) // 2
    if entry.payload_offset is None:
        assert b"".join(decoder.content()).hex() == content


def test_type_ids() -> None:
    for name, facts in VECTORS["type_ids"].items():
        known = {"PAYLOAD_TAIL": items.PAYLOAD_TAIL}.get(name, getattr(items, name, None))
        assert known == int(facts["id"], 16), name
        assert name_hash(facts["derived_from"].encode()) == int(facts["id"], 16)


def test_name_hashes() -> None:
    for example in VECTORS["siphash"]["examples"]:
        assert name_hash(example["input"].encode()) == int(example["hash"], 16)


def test_goodbye_permutations() -> None:
    for count, order in VECTORS["goodbye_permutations"].items():
        assert list(heap_order(int(count))) == order
