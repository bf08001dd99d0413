"""The thread that cuts an archive: pieces stay in order, failures come out, nobody waits for ever."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from platevault.client.chunk_stream import ChunkStream
from platevault.client.index_writer import ClosedIndex
from platevault.client.piped_stream import MAX_WAITING, PipedStream
from platevault.errors import Unavailable

CLOSED = ClosedIndex("", 0, 0)


class Collector:
    """A stream that keeps what it gets, and fails at piece number `fails`."""

    def __init__(self, *, fails: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.fails, self.abandoned = fails, False
        self.may_go_on = threading.Event()

    def write(self, data: bytes) -> None:
        self.may_go_on.wait()
        if len(self.pieces) == self.fails:
            raise Unavailable("the server is gone")
        self.pieces.append(bytes(data))

    def close(self) -> ClosedIndex:
        return CLOSED

    def abandon(self) -> None:
        self.abandoned = True


def write_for_ever(stream: PipedStream) -> None:
    while True:
        stream.write(b"piece")


def piped(stream: Collector) -> PipedStream:
    return PipedStream(cast(ChunkStream, cast(Any, stream)))


def test_pieces_arrive_in_order_whatever_happens_to_their_buffer() -> None:
    collector, buffer = Collector(), bytearray(4)
    stream = piped(collector)
    for number in range(MAX_WAITING - 1):
        buffer[:] = number.to_bytes(4, "big")
        stream.write(memoryview(buffer))
    collector.may_go_on.set()
    stream.write(b"last")
    assert stream.close() is CLOSED
    assert collector.pieces == [*(number.to_bytes(4, "big") for number in range(MAX_WAITING - 1)), b"last"]


def test_a_failure_comes_out_and_the_rest_is_dropped() -> None:
    collector = Collector(fails=1)
    collector.may_go_on.set()
    stream = piped(collector)
    with pytest.raises(Unavailable, match="gone"):
        write_for_ever(stream)
    with pytest.raises(Unavailable, match="gone"):
        stream.close()
    stream.abandon()
    assert (collector.pieces, collector.abandoned) == ([b"piece"], True)
    assert not [thread for thread in threading.enumerate() if thread.name == "append chunks"]
