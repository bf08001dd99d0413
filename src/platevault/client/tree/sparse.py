"""Write the content of a file, leaving holes where whole blocks are zero."""

from __future__ import annotations

import os

import numpy as np

BLOCK_BYTES = 4096  # of nearly every file system; a hole of other size costs a few zeros at most
SPARSE_FROM_BYTES = 64 * 1024  # smaller files have nothing to gain


def write_all(file: int, data: memoryview, offset: int) -> None:
    """Write `data` at `offset`. Raises OSError."""
    while data:
        count = os.pwrite(file, data, offset)
        data, offset = data[count:], offset + count


def write_with_holes(file: int, data: memoryview, offset: int) -> None:
    """Write `data` at `offset` into a file that has no blocks there yet, except for blocks of zeros. Raises OSError.

    The caller sets the length of the file in the end, because a hole at the end is not written at all.
    """
    head = min(-offset % BLOCK_BYTES, len(data))
    whole = (len(data) - head) // BLOCK_BYTES * BLOCK_BYTES
    filled = np.frombuffer(data[head : head + whole], np.uint64).reshape(-1, BLOCK_BYTES // 8).any(axis=1)
    if filled.all():
        write_all(file, data, offset)
        return
    _write_part(file, data[:head], offset)
    changes = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    for first, end in changes.reshape(-1, 2).tolist():
        place = head + first * BLOCK_BYTES
        write_all(file, data[place : head + end * BLOCK_BYTES], offset + place)
    _write_part(file, data[head + whole :], offset + head + whole)


def _write_part(file: int, data: memoryview, offset: int) -> None:
    """A part of a block, whose rest comes with another piece: if it is zero, that piece decides."""
    if data.tobytes().strip(b"\0"):
        write_all(file, data, offset)
