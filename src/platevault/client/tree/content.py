"""Read the content of a regular file: exactly as many bytes as were announced, whatever happens to the file meanwhile.

Source: spec formats §8.10: a file that became shorter is filled up with zeros, one that grew is cut. Holes are not read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from platevault.client.tree.tree_log import TreeLog

PIECE_BYTES = 1024 * 1024
ZEROS = bytes(PIECE_BYTES)
BLOCK_BYTES = 512  # unit of st_blocks, whatever the file system

Sink = Callable[[memoryview], object]


def read_small(file: int, size: int) -> bytes:
    """The first `size` bytes, less when the file is shorter. Raises OSError."""
    data = os.read(file, size)
    while len(data) < size:
        more = os.read(file, size - len(data))
        if not more:
            break
        data += more
    return data


class ContentReader:
    """Reads large files through one buffer. One thread."""

    def __init__(self, log: TreeLog) -> None:
        self._log = log
        self._buffer = memoryview(bytearray(PIECE_BYTES))

    def copy(self, file: int, state: os.stat_result, path: bytes, sink: Sink) -> None:
        """Hand exactly `state.st_size` bytes to `sink`, in pieces that it must have used on return. What cannot be read comes as zeros."""
        done = 0
        try:
            for start, end in _data_ranges(file, state):
                _give_zeros(start - done, sink)
                done = start
                while done < end:
                    count = os.preadv(file, [self._buffer[: end - done]], done)
                    if count == 0:
                        break
                    sink(self._buffer[:count])
                    done += count
                if done < end:
                    self._log.warn(path, f"became shorter while it was read: zeros from byte {done} to {state.st_size}")
                    break
        except OSError as error:
            self._log.skip(path, f"cannot be read from byte {done} on: {error.strerror}; zeros are stored instead")
        _give_zeros(state.st_size - done, sink)


def _give_zeros(size: int, sink: Sink) -> None:
    zeros = memoryview(ZEROS)
    while size > 0:
        sink(zeros[:size])
        size -= PIECE_BYTES


def _data_ranges(file: int, state: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where the file has data, start and end in ascending order. Asked only of a file that has fewer blocks than bytes."""
    if state.st_blocks * BLOCK_BYTES >= state.st_size:
        yield 0, state.st_size
        return
    end = 0
    while end < state.st_size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            start, end = end, state.st_size  # the file system cannot tell
            yield start, end
            return
        if start >= state.st_size:
            return
        end = min(os.lseek(file, start, os.SEEK_HOLE), state.st_size)
        yield start, end
