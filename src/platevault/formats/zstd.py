"""zstd frames as blobs hold them: one interface for compressing and for bounded decompressing.

Source: spec formats §2.4. Frames may lack their content size, may be several, may be empty or skippable. Refused: anything after the
last frame that is no frame, dictionaries, windows above 128 MiB, output above the caller's limit. Contexts are kept per thread: they
are expensive to make and not safe to share.
"""

from __future__ import annotations

import threading
from io import BytesIO

import zstandard

from platevault.errors import Corrupt, Unavailable

LEVEL = 1
MAX_WINDOW_BYTES = 128 * 1024 * 1024  # the limit of the library itself, so of every other reader
FRAME_MAGIC = b"\x28\xb5\x2f\xfd"

# Four bytes of a frame can stand for a block of 128 KiB, so a step of the stream makes at most 8 MiB and a bomb is noticed early.
STEP_BYTES = 256
BLOCK_BYTES = 128 * 1024
USUAL_BLOCKS = 1024  # 128 MiB in full blocks
RUN_BLOCK = 1

_local = threading.local()


class CorruptFrame(Corrupt):
    """Not zstd frames, or more data than allowed."""


def _compressor() -> zstandard.ZstdCompressor:
    made: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if made is None:
        made = _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return made


def _decompressor() -> zstandard.ZstdDecompressor:
    made: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if made is None:
        made = _local.decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    return made


def compress(data: bytes | bytearray | memoryview) -> bytes:
    """One frame at level 1 with its content size."""
    return _compressor().compress(data)


def decompress(frames: bytes | bytearray | memoryview, *, max_bytes: int) -> bytes:
    """All frames decoded, at most `max_bytes`. Raises CorruptFrame.

    Memory: the result and at most 16 MiB more, whatever the frames say, beside the window that the thread's decoder keeps. Raises
    Unavailable when there is not enough of it, because that says nothing about the data.
    """
    if not len(frames):
        raise CorruptFrame("no zstd frame")
    try:
        if (single := _single_frame(frames, max_bytes)) is not None:
            return single
        return _stream(memoryview(frames), max_bytes)
    except zstandard.ZstdError as error:
        if "not enough memory" in str(error):
            raise Unavailable(f"zstd: {error}") from error
        raise CorruptFrame(f"zstd: {error}") from error
    except MemoryError as error:
        raise Unavailable("zstd: not enough memory") from error


def _single_frame(frames: bytes | bytearray | memoryview, max_bytes: int) -> bytes | None:
    """The usual case in one call with one allocation: exactly one frame, and not an empty one. None: use the stream."""
    parameters = _checked(frames)
    if parameters is None or parameters.content_size == 0:
        return None  # the library takes a size of zero for the whole answer and does not look at the frame
    if parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN:
        # A frame of an old writer. The library ignores what follows one, so its end has to be known.
        if not max_bytes or _frame_bytes(frames, parameters) != len(frames):
            return None
    elif parameters.content_size > max_bytes:
        raise CorruptFrame("zstd data is larger than allowed", expected=max_bytes, got=parameters.content_size)
    try:
        return _decompressor().decompress(frames, max_bytes, allow_extra_data=False)
    except zstandard.ZstdError:
        return None  # several frames, too much data, or damage: the stream tells which


def _checked(frames: bytes | bytearray | memoryview) -> zstandard.FrameParameters | None:
    """What the head of the first frame says, None for a skippable one or none at all.

    Raises CorruptFrame for a frame that other readers refuse; the library itself would decode some of those in one piece.
    """
    if bytes(frames[:4]) != FRAME_MAGIC:
        return None
    parameters = zstandard.get_frame_parameters(frames)
    if parameters.dict_id:
        raise CorruptFrame("zstd frame was made with a dictionary")
    if parameters.window_size > MAX_WINDOW_BYTES:
        raise CorruptFrame("zstd window is too large", expected=MAX_WINDOW_BYTES, got=parameters.window_size)
    return parameters


def _frame_bytes(frames: bytes | bytearray | memoryview, parameters: zstandard.FrameParameters) -> int | None:
    """Length of the first frame by the heads of its blocks (RFC 8878 §3.1.1.2); None when it is cut off or has a great many."""
    position = zstandard.frame_header_size(frames)
    for _ in range(USUAL_BLOCKS):
        head = int.from_bytes(frames[position : position + 3], "little")
        position += 3 + (1 if head >> 1 & 3 == RUN_BLOCK else head >> 3)
        if position > len(frames):
            return None
        if head & 1:
            return position + (4 if parameters.has_checksum else 0)
    return None


def _stream(frames: memoryview, max_bytes: int) -> bytes:
    output = BytesIO()
    while len(frames):
        _checked(frames)
        engine = _decompressor().decompressobj(write_size=BLOCK_BYTES)
        frames = _one_frame(engine, frames, output, max_bytes)
    return output.getvalue()


def _one_frame(engine: zstandard.ZstdDecompressionObj, frames: memoryview, output: BytesIO, max_bytes: int) -> memoryview:
    """Decode one frame; returns what follows it."""
    for position in range(0, len(frames), STEP_BYTES):
        piece = frames[position : position + STEP_BYTES]
        output.write(engine.decompress(piece))
        if output.tell() > max_bytes:
            raise CorruptFrame("zstd data is larger than allowed", expected=max_bytes, got=output.tell())
        if engine.eof:
            return frames[position + len(piece) - len(engine.unused_data) :]
    raise CorruptFrame("zstd frame is cut off")
