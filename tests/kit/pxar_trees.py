"""Trees in memory, for archives in tests: made up by Hypothesis, written by the encoder, read by the decoder."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.encoder import Encoder
from platevault.formats.pxar.entry import Entry, Kind
from platevault.formats.pxar.items import is_name
from platevault.formats.pxar.metadata import NOTHING, AclEntry, DefaultAcl, Metadata, Stat, encode_metadata

FOLDER = Stat(stat.S_IFDIR | 0o755, mtime_s=1_700_000_000)
FILE = Stat(stat.S_IFREG | 0o644, mtime_s=1_700_000_000)
LINK = Stat(stat.S_IFLNK | 0o777, mtime_s=1_700_000_000)


@dataclass
class Node:
    """One entry. `content`: of a file; `target`: of a link; `children` only of a directory."""

    kind: Kind
    stat: Stat
    metadata: Metadata = NOTHING
    content: bytes = b""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    children: dict[bytes, Node] = field(default_factory=dict)


def folder(**children: Node) -> Node:
    """A directory with these entries."""
    return Node(Kind.DIRECTORY, FOLDER, children={name.encode(): child for name, child in children.items()})


def file(content: bytes = b"data", mode: int = 0o644) -> Node:
    return Node(Kind.FILE, FILE._replace(mode=stat.S_IFREG | mode), content=content)


def symlink(target: bytes) -> Node:
    return Node(Kind.SYMLINK, LINK, target=target)


def encode(root: Node, *, split: bool = False) -> bytes:
    """The archive of a tree; with `split` the metadata stream only."""
    out = bytearray()
    encoder = Encoder(out.extend, (lambda _: None) if split else None)
    encoder.start_root(root.stat, encode_metadata(root.metadata))
    _write_children(encoder, root)
    encoder.end_directory()
    encoder.finish()
    return bytes(out)


def _write_children(encoder: Encoder, parent: Node) -> None:
    for name, node in parent.children.items():
        metadata = encode_metadata(node.metadata)
        if node.kind is Kind.DIRECTORY:
            encoder.start_directory(name, node.stat, metadata)
            _write_children(encoder, node)
            encoder.end_directory()
        elif node.kind is Kind.FILE:
            encoder.add_file(name, node.stat, metadata, node.content)
        elif node.kind is Kind.SYMLINK:
            encoder.add_symlink(name, node.stat, node.target)
        elif node.kind is Kind.DEVICE:
            encoder.add_device(name, node.stat, *node.device)
        else:
            encoder.add_special(name, node.stat)


def decode(read: Callable[[int], bytes]) -> Node:
    """The tree of an archive."""
    decoder = Decoder(read)
    root = decoder.next()
    assert root is not None
    top = Node(Kind.DIRECTORY, root.stat, root.metadata)
    open_nodes = [top]
    for entry in decoder:
        if entry.kind is Kind.END:
            open_nodes.pop()
            continue
        node = open_nodes[-1].children[entry.name] = _node(entry, decoder)
        if entry.kind is Kind.DIRECTORY:
            open_nodes.append(node)
    assert not open_nodes
    return top


def _node(entry: Entry, decoder: Decoder) -> Node:
    content = b"".join(decoder.content()) if entry.kind is Kind.FILE else b""
    return Node(entry.kind, entry.stat, entry.metadata, content, entry.target, entry.device)


names = st.binary(min_size=1, max_size=20).filter(is_name)
permissions = st.integers(0, 0o7777)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)


def stats(kind: int) -> st.SearchStrategy[Stat]:
    seconds, nanoseconds = st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999)
    return st.builds(Stat, permissions.map(lambda bits: bits | kind), u64, u32, u32, seconds, nanoseconds)


acl_entries = st.lists(st.builds(AclEntry, u64, u64), max_size=3).map(tuple)
xattr_names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
xattrs = st.lists(st.tuples(xattr_names, st.binary(max_size=30)), max_size=3).map(tuple)
acl_bits = st.none() | st.integers(0, 2**64 - 2)
metadata = st.just(NOTHING) | st.builds(
    Metadata,
    xattrs,
    acl_entries,
    acl_entries,
    st.none() | u64,
    st.none() | st.builds(DefaultAcl, acl_bits, acl_bits, acl_bits, acl_bits),
    acl_entries,
    acl_entries,
    st.none() | st.binary(max_size=30),
    st.none() | u64,
)
targets = st.binary(min_size=1, max_size=30).filter(lambda target: b"\0" not in target)
leaves = st.one_of(
    st.builds(Node, st.just(Kind.FILE), stats(stat.S_IFREG), metadata, st.binary(max_size=200)),
    st.builds(Node, st.just(Kind.SYMLINK), stats(stat.S_IFLNK), target=targets),
    st.builds(Node, st.just(Kind.DEVICE), stats(stat.S_IFBLK) | stats(stat.S_IFCHR), device=st.tuples(u64, u64)),
    st.builds(Node, st.just(Kind.FIFO), stats(stat.S_IFIFO)),
    st.builds(Node, st.just(Kind.SOCKET), stats(stat.S_IFSOCK)),
)


def _folders(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    kept = st.dictionaries(names, children, max_size=5)
    return st.builds(Node, st.just(Kind.DIRECTORY), stats(stat.S_IFDIR), metadata, children=kept)


trees = _folders(st.recursive(leaves, _folders, max_leaves=12))
