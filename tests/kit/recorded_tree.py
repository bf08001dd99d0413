"""The tree that real clients have archived: its listing, its archive, and the tree itself made anew.

See tests/vectors/trees/ORIGIN.md. The listing is the authority; contents come from the recorded archive and are checked against it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import socket
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard

from platevault.client.tree.inode_flags import GET_FLAGS, SET_FLAGS, FlagReader, to_kernel
from platevault.formats.pxar.decoder import Decoder
from platevault.formats.pxar.entry import Kind
from platevault.formats.pxar.metadata import Metadata

VECTORS = Path(__file__).parent.parent / "vectors" / "trees"
OUTSIDE = "onlyname"  # the file whose second name is outside of the tree
# Letters of lsattr(1) and flags of an archive.
LETTERS = {"a": 0x10000, "A": 0x20000, "d": 0x100000, "D": 0x200000, "i": 0x400000, "S": 0x800000}


@dataclass
class Listed:
    """One line of the listing, comparable. `first`: path of the first name of a file with several."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int | None = None
    sha256: str | None = None
    target: bytes | None = None
    device: tuple[int, int] | None = None
    xattrs: dict[str, bytes] = field(default_factory=dict)
    flags: int = 0
    first: bytes | None = None


@cache
def recorded(name: str) -> bytes:
    """A recorded stream, e.g. `full.pxar`."""
    return zstandard.ZstdDecompressor().decompressobj().decompress((VECTORS / f"{name}.zst").read_bytes())


@cache
def recorded_listing() -> tuple[Listed, ...]:
    """What lstat(2) and its like said about the tree, in archive order."""
    firsts: dict[int, bytes] = {}
    found = [_listed(json.loads(line), firsts) for line in recorded("full.lstat.jsonl").splitlines()]
    return tuple(sorted(found, key=lambda one: one.path.split(b"/") if one.path else []))


def _listed(line: dict[str, Any], firsts: dict[int, bytes]) -> Listed:
    path = bytes.fromhex(line["path-hex"]) if "path-hex" in line else line["path"].encode()
    first = firsts.setdefault(line["inode"], path) if "inode" in line else path
    target = bytes.fromhex(line["target-hex"]) if "target-hex" in line else line["target"].encode() if "target" in line else None
    return Listed(
        path,
        int(line["mode"], 8),
        line["uid"],
        line["gid"],
        line["mtime_ns"],
        line.get("size"),
        line.get("sha256"),
        target,
        tuple(line["rdev"]) if "rdev" in line else None,
        {name: base64.b64decode(value) for name, value in line.get("xattrs-base64", {}).items()},
        sum(LETTERS[letter] for letter in line.get("lsattr", "")),
        None if first == path else first,
    )


def list_tree(root: Path) -> list[Listed]:
    """The same facts about a tree on disk."""
    firsts: dict[tuple[int, int], bytes] = {}
    return [_look(path, os.fsencode(root), firsts) for path in _walk(os.fsencode(root))]


def _walk(path: bytes) -> Iterator[bytes]:
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in sorted(os.listdir(path)):
            yield from _walk(path + b"/" + name)


def _look(path: bytes, root: bytes, firsts: dict[tuple[int, int], bytes]) -> Listed:
    state, name = os.lstat(path), path[len(root) + 1 :]
    found = Listed(name, state.st_mode, state.st_uid, state.st_gid, state.st_mtime_ns)
    if stat.S_ISREG(state.st_mode):
        first = firsts.setdefault((state.st_dev, state.st_ino), name)
        found.first = None if first == name else first
        found.size, found.sha256 = state.st_size, hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
    elif stat.S_ISLNK(state.st_mode):
        found.target = os.readlink(path)
    elif stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
        found.device = os.major(state.st_rdev), os.minor(state.st_rdev)
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
        found.xattrs = {key: os.getxattr(path, key) for key in os.listxattr(path)}
        file = os.open(path, os.O_RDONLY)
        found.flags = FlagReader().flags(file)
        os.close(file)
    return found


def make_tree(root: Path) -> None:
    """Make the recorded tree. Skips the test without root, or without extended attributes, ACLs and flags as ext4 has them."""
    if os.geteuid() != 0:
        pytest.skip("making the recorded tree needs root")
    archived = _archived()
    contents = {path: content for path, (content, _) in archived.items()}
    for one in recorded_listing():
        _make(os.fsencode(root) + b"/" + one.path if one.path else os.fsencode(root), one, os.fsencode(root), contents)
    for one in reversed(recorded_listing()):
        order = [os.fsdecode(name) for name, _ in archived[one.path][1].xattrs] if one.path in archived else []
        _finish(os.fsencode(root) + b"/" + one.path, one, order)


def _archived() -> dict[bytes, tuple[bytes, Metadata]]:
    """Content and metadata of each regular file by path, read from the recorded archive."""
    found = {}
    decoder, folders = Decoder(BytesIO(recorded("full.pxar")).read), [b""]
    for entry in decoder:
        if entry.kind is Kind.DIRECTORY:
            folders.append(folders[-1] + entry.name + b"/" if entry.name else b"")
        elif entry.kind is Kind.END:
            folders.pop()
        elif entry.kind is Kind.FILE:
            found[folders[-1] + entry.name] = b"".join(decoder.content()), entry.metadata
    return found


def _make(path: bytes, one: Listed, root: bytes, contents: dict[bytes, bytes]) -> None:
    kind = stat.S_IFMT(one.mode)
    if kind == stat.S_IFDIR:
        os.makedirs(path, exist_ok=True)
    elif kind == stat.S_IFLNK:
        os.symlink(one.target or b"", path)
    elif kind == stat.S_IFSOCK:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
    elif kind != stat.S_IFREG:
        os.mknod(path, one.mode, os.makedev(*(one.device or (0, 0))))
    elif one.first is not None:
        os.link(root + b"/" + one.first, path)
    else:
        data = contents[one.path]
        assert hashlib.sha256(data).hexdigest() == one.sha256
        _write_sparsely(path, data)
        if one.path.endswith(OUTSIDE.encode()):
            os.link(path, root + b".outside")


def _write_sparsely(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        for start in range(0, len(data), 4096):
            block = data[start : start + 4096]
            if block.strip(b"\0"):
                file.seek(start)
                file.write(block)
        file.truncate(len(data))


def _finish(path: bytes, one: Listed, order: list[str]) -> None:
    """Owner before mode, mode before ACLs; times after everything but the flags, some of which forbid any further change.

    order: of the extended attributes, because file systems list them as they were set.
    """
    path = path.rstrip(b"/")
    os.chown(path, one.uid, one.gid, follow_symlinks=False)
    if not stat.S_ISLNK(one.mode):
        os.chmod(path, stat.S_IMODE(one.mode))
    try:
        for name in sorted(one.xattrs, key=lambda name: order.index(name) if name in order else -1):
            os.setxattr(path, name, one.xattrs[name], follow_symlinks=False)
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error.strerror}")
    os.utime(path, ns=(one.mtime_ns, one.mtime_ns), follow_symlinks=False)
    if one.flags:
        set_flags(path, to_kernel(one.flags))


def set_flags(path: bytes, kernel: int) -> None:
    """Replace the flags of a file or directory."""
    file = os.open(path, os.O_RDONLY)
    try:
        kept = bytearray(8)
        fcntl.ioctl(file, GET_FLAGS, kept)
        others = int.from_bytes(kept[:4], "little") & ~to_kernel(sum(LETTERS.values()))
        fcntl.ioctl(file, SET_FLAGS, struct.pack("=Q", others | kernel))
    except OSError as error:
        pytest.skip(f"no inode flags here: {error.strerror}")
    finally:
        os.close(file)


def make_removable(root: Path) -> None:
    """Take the flags away that would keep a tree from being removed."""
    for path in _walk(os.fsencode(root)) if root.exists() else ():
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            set_flags(path, 0)
