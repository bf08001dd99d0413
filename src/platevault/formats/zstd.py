"""zstd frames as blobs hold them: one interface for compressing and for bounded decompressing.

Source: spec formats §2.4. Frames may lack their content size, may be several, may be skippable. Refused: anything after the last
frame that is no frame, dictionaries, windows above 128 MiB, output above the caller's limit. Contexts are kept per thread: they
are expensive to make and not safe to share.
"""

from __future__ import annotations

import threading
from io import BytesIO

import zstandard

from platevault.errors import Corrupt

LEVEL = 1
MAX_WINDOW_BYTES = 128 * 1024 * 1024
READ_BYTES = 1024 * 1024
FRAME_MAGIC = b"\x28\xb5\x2f\xfd"

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
    """All frames decoded, at most `max_bytes`. Raises CorruptFrame; memory stays bounded by the limit and the window."""
    if not len(frames):
        raise CorruptFrame("no zstd frame")
    try:
        if (single := _single_frame(frames, max_bytes)) is not None:
            return single
        return _stream(frames, max_bytes)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CorruptFrame(f"zstd: {error}") from error


def _single_frame(frames: bytes | bytearray | memoryview, max_bytes: int) -> bytes | None:
    """The usual case in one call with one allocation: exactly one frame that states its size. None: use the stream."""
    if bytes(frames[:4]) != FRAME_MAGIC:
        return None
    parameters = zstandard.get_frame_parameters(frames)
    if parameters.dict_id:
        raise CorruptFrame("zstd frame was made with a dictionary")
    size = parameters.content_size
    if size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
        return None
    if size > max_bytes:
        raise CorruptFrame("zstd data is larger than allowed", expected=max_bytes, got=size)
    try:
        return _decompressor().decompress(frames, allow_extra_data=False)
    except zstandard.ZstdError:
        return None  # several frames, or damage: the stream tells which


def _stream(frames: bytes | bytearray | memoryview, max_bytes: int) -> bytes:
    output = BytesIO()
    rest: bytes | memoryview = memoryview(frames)
    while len(rest):
        engine = _decompressor().decompressobj(write_size=READ_BYTES)
        rest = _one_frame(engine, memoryview(rest), output, max_bytes)
    return output.getvalue()


def _one_frame(engine: zstandard.ZstdDecompressionObj, rest: memoryview, output: BytesIO, max_bytes: int) -> bytes | memoryview:
    """Decode one frame; returns what follows it. Input goes in small steps, so that a bomb is noticed early."""
    if bytes(rest[:4]) == FRAME_MAGIC and zstandard.get_frame_parameters(rest).dict_id:
        raise CorruptFrame("zstd frame was made with a dictionary")
    position = 0
    while position < len(rest):
        piece = rest[position : position + 4096]
        position += len(piece)
        output.write(engine.decompress(piece))
        if output.tell() > max_bytes:
            raise CorruptFrame("zstd data is larger than allowed", expected=max_bytes, got=output.tell())
        if engine.eof:
            return rest[position - len(engine.unused_data) :]
    raise CorruptFrame("zstd frame is cut off")
