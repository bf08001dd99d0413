"""A peer of a Dispatcher in memory, with an independent encoder and decoder of frames (hyperframe) and headers (hpack)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import hpack
import hyperframe.frame as hf

from platevault.clock import ManualClock
from platevault.wire.http2.dispatch import Dispatcher
from platevault.wire.http2.frames import FrameScanner
from platevault.wire.http2.message import Handler, Request, Response, Upload

GET = ((":method", "GET"), (":scheme", "https"), (":authority", "localhost:8007"), (":path", "/name?x=1"))
POST = ((":method", "POST"), *GET[1:])
Fields = Iterable[tuple[str, str]]
FrameType = TypeVar("FrameType", bound=hf.Frame)


class Body:
    """An Upload that keeps what it gets. `early`: answer as soon as so many bytes are there."""

    def __init__(self, request: Request, *, early: int | None = None) -> None:
        self.request, self.early = request, early
        self.data, self.ended, self.aborted = bytearray(), False, False

    def feed(self, piece: memoryview) -> Response | None:
        assert not self.ended
        self.data += piece
        return Response(400, b"too much") if self.early is not None and len(self.data) >= self.early else None

    def finish(self) -> Response:
        self.ended = True
        return Response(200, b"got %d" % len(self.data))

    def abort(self) -> None:
        self.aborted = True


class Peer:
    """The client's side. `answer` makes what the handler returns; by default every request is a Body."""

    def __init__(self, answer: Callable[[Request], Upload | Response] | None = None, *, greet: bool = True) -> None:
        self.bodies: list[Body] = []
        self.delayed: list[tuple[int, Response]] = []
        self._answer = answer
        self._raw = bytearray()
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        handler: Handler = self._handle
        self.dispatcher = Dispatcher(handler, self._raw.extend, lambda *item: self.delayed.append(item), ManualClock().now)
        self._scanner = FrameScanner(self.dispatcher)
        if greet:
            self.dispatcher.open()
            self.send(hf.SettingsFrame(0, {}))
            self.receive()

    def _handle(self, request: Request) -> Upload | Response:
        if self._answer is not None:
            return self._answer(request)
        self.bodies.append(Body(request))
        return self.bodies[-1]

    def send(self, *frames: hf.Frame | bytes) -> None:
        """Let the frames arrive, all in one piece. Raises what the dispatcher raises."""
        raw = b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames)
        assert self._scanner.scan(memoryview(raw)) == len(raw)

    def headers(self, stream_id: int, fields: Fields = POST, *, end: bool = False) -> hf.Frame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return hf.HeadersFrame(stream_id, self.block(fields), flags=flags)

    def block(self, fields: Fields) -> bytes:
        return bytes(self._encoder.encode(list(fields)))

    def receive(self) -> list[hf.Frame]:
        """All that was sent to us since the last time, with what the windows let out."""
        while self.dispatcher.outbox.pump():
            pass
        frames, raw, at = [], bytes(self._raw), 0
        self._raw.clear()
        while at < len(raw):
            frame, length = hf.Frame.parse_frame_header(memoryview(raw)[at : at + 9])
            frame.parse_body(memoryview(raw)[at + 9 : at + 9 + length])
            frames.append(frame)
            at += 9 + length
        return frames

    def status(self, frame: hf.Frame) -> int:
        assert isinstance(frame, hf.HeadersFrame)
        return int(dict(self._decoder.decode(frame.data, raw=True))[b":status"])

    def statuses(self) -> dict[int, int]:
        """Statuses of the answers since the last time, by stream."""
        return {frame.stream_id: self.status(frame) for frame in self.receive() if isinstance(frame, hf.HeadersFrame)}


def only(frames: list[hf.Frame], kind: type[FrameType]) -> list[FrameType]:
    return [frame for frame in frames if isinstance(frame, kind)]


def data(stream_id: int, content: bytes = b"", *, end: bool = False, padding: int | None = None) -> hf.DataFrame:
    frame = hf.DataFrame(stream_id, content, flags=["END_STREAM"] if end else [])
    if padding is not None:
        frame.flags.add("PADDED")
        frame.pad_length = padding
    return frame
