"""Bodies on their way out: flow control, fairness, bounded reading, bodies that fail."""

from __future__ import annotations

import io
from typing import Any

import hyperframe.frame as hf
import pytest

from platevault.wire.http2 import frames
from platevault.wire.http2.message import FileBody
from platevault.wire.http2.outbox import TURN_BYTES, Outbox
from platevault.wire.http2.windows import SendWindow

MIB = 1024 * 1024


class Sent:
    """What an outbox sent: DATA frames as (stream, content, end), and which streams are done or failed."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes, bool]] = []
        self.done: list[int] = []
        self.failed: list[int] = []
        self.outbox = Outbox(self._send, self.done.append, self.failed.append)
        self.outbox.connection_window.grant(frames.MAX_WINDOW - frames.DEFAULT_WINDOW)

    def _send(self, raw: memoryview) -> None:
        at = 0
        while at < len(raw):
            frame, length = hf.Frame.parse_frame_header(raw[at : at + 9])
            assert isinstance(frame, hf.DataFrame)
            self.frames.append((frame.stream_id, bytes(raw[at + 9 : at + 9 + length]), "END_STREAM" in frame.flags))
            at += 9 + length

    def content(self, stream_id: int) -> bytes:
        return b"".join(content for stream, content, _ in self.frames if stream == stream_id)

    def pump_all(self) -> None:
        while self.outbox.pump():
            pass


class Reader(io.BytesIO):
    """A file that says how much of it was read, and fails at a place."""

    def __init__(self, data: bytes, *, fail_at: int | None = None) -> None:
        super().__init__(data)
        self.fail_at = fail_at

    def readinto(self, target: Any) -> int:
        if self.fail_at is not None and self.tell() >= self.fail_at:
            raise OSError("broken disk")
        return super().readinto(target)


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_a_body_goes_out_whole_and_only_its_last_frame_ends_the_stream(sent: Sent) -> None:
    data = bytes(range(256)) * 400
    sent.outbox.add(1, data, SendWindow(MIB))
    sent.pump_all()
    assert sent.content(1) == data
    assert [end for _, _, end in sent.frames] == [False] * (len(sent.frames) - 1) + [True]
    assert max(len(content) for _, content, _ in sent.frames) == frames.DEFAULT_FRAME_BYTES
    assert sent.done == [1]
    assert len(sent.outbox) == 0


@pytest.mark.parametrize("size", [1, frames.DEFAULT_FRAME_BYTES, TURN_BYTES - 1, TURN_BYTES, TURN_BYTES + 1, 3 * TURN_BYTES])
@pytest.mark.parametrize("frame_bytes", [frames.DEFAULT_FRAME_BYTES, 100_000, frames.MAX_FRAME_BYTES])
def test_windows_are_charged_with_exactly_what_was_sent(sent: Sent, size: int, frame_bytes: int) -> None:
    window, before = SendWindow(10 * MIB), sent.outbox.connection_window.left
    sent.outbox.frame_bytes = frame_bytes
    sent.outbox.add(1, bytes(size), window)
    sent.pump_all()
    assert len(sent.content(1)) == size
    assert 10 * MIB - window.left == before - sent.outbox.connection_window.left == size


def test_an_empty_file_is_one_frame_without_content_even_without_any_window(sent: Sent) -> None:
    sent.outbox.add(1, FileBody(io.BytesIO(), 0), SendWindow(0))
    sent.pump_all()
    assert sent.frames == [(1, b"", True)]


@pytest.mark.parametrize("left", [0, -5])
def test_nothing_leaves_a_closed_window_and_the_rest_follows_when_it_opens(sent: Sent, left: int) -> None:
    window = SendWindow(left)
    sent.outbox.add(1, b"x" * 100, window)
    assert not sent.outbox.pump()
    window.grant(40 - left)
    sent.pump_all()
    assert sent.content(1) == b"x" * 40
    window.grant(1000)
    sent.pump_all()
    assert sent.content(1) == b"x" * 100


def test_the_window_of_the_connection_is_shared(sent: Sent) -> None:
    sent.outbox.connection_window.left = 150
    for stream in (1, 3):
        sent.outbox.add(stream, b"x" * 100, SendWindow(MIB))
    sent.pump_all()
    assert sent.outbox.connection_window.left == 0
    assert len(sent.content(1)) + len(sent.content(3)) == 150
    sent.outbox.connection_window.grant(50)
    sent.pump_all()
    assert sent.done == [1, 3]


def test_streams_take_turns_so_a_small_answer_does_not_wait_for_a_large_one(sent: Sent) -> None:
    sent.outbox.add(1, bytes(20 * MIB), SendWindow(frames.MAX_WINDOW))
    sent.outbox.add(3, b"small", SendWindow(MIB))
    for _ in range(2):
        sent.outbox.pump()
    assert sent.done == [3]
    assert len(sent.content(1)) <= TURN_BYTES


def test_a_stream_with_a_closed_window_does_not_stop_the_others(sent: Sent) -> None:
    sent.outbox.add(1, b"waits", SendWindow(0))
    sent.outbox.add(3, b"goes", SendWindow(MIB))
    sent.pump_all()
    assert sent.done == [3]


def test_a_file_is_read_only_as_far_as_the_window_reaches_and_closed_at_the_end(sent: Sent) -> None:
    file, window = Reader(bytes(10 * MIB)), SendWindow(1000)
    sent.outbox.add(1, FileBody(file, 10 * MIB), window)
    sent.pump_all()
    assert file.tell() == 1000
    window.grant(20 * MIB)
    sent.pump_all()
    assert len(sent.content(1)) == 10 * MIB
    assert file.closed


@pytest.mark.parametrize("file", [Reader(bytes(MIB), fail_at=TURN_BYTES), Reader(bytes(MIB - 1))], ids=["cannot be read", "too short"])
def test_a_file_that_fails_ends_its_stream_only(sent: Sent, file: Reader) -> None:
    sent.outbox.add(1, FileBody(file, MIB), SendWindow(frames.MAX_WINDOW))
    sent.outbox.add(3, b"fine", SendWindow(MIB))
    sent.pump_all()
    assert (sent.failed, sent.done) == ([1], [3])
    assert not any(end for stream, _, end in sent.frames if stream == 1)
    assert file.closed


def test_a_dropped_body_sends_nothing_more_and_closes_its_file(sent: Sent) -> None:
    file = Reader(bytes(MIB))
    sent.outbox.add(1, FileBody(file, MIB), SendWindow(10))
    sent.pump_all()
    sent.outbox.drop(1)
    sent.outbox.drop(1)
    assert file.closed
    assert not sent.outbox.pump()
    assert len(sent.content(1)) == 10


def test_close_drops_everything(sent: Sent) -> None:
    files = [Reader(b"x") for _ in range(3)]
    for number, file in enumerate(files):
        sent.outbox.add(number, FileBody(file, 1), SendWindow(0))
    sent.outbox.close()
    assert all(file.closed for file in files)
