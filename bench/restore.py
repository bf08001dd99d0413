"""What it costs the server to give back: chunks of one image by a raw reader with several requests in flight."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future

from bench.figure import MIB, Row, Scale
from bench.process import Meter
from bench.sender import Chunk, checked, open_session, prepare, send_snapshot
from platevault.client.connect import READER_PROTOCOL
from platevault.wire.http2.call import Answer

TOTAL_BYTES = 512 * MIB
IN_FLIGHT = 8


def measure(scale: Scale) -> list[Row]:
    chunks, moment = prepare("plain", scale.bytes(TOTAL_BYTES)), int(time.time())
    send_snapshot("bench-restore", chunks, moment)
    with Meter() as meter:
        _read_all(chunks, moment)
    usage = meter.usage()
    size = sum(chunk.size for chunk in chunks)
    return [
        Row("1 reader, plain", usage.wall_s, size, usage.server_cpu_s, server_peak_mib=usage.server_peak_mib, target=">= 800 MB/s a core")
    ]


def _read_all(chunks: list[Chunk], moment: int) -> None:
    connection = open_session("bench-restore", READER_PROTOCOL, moment)
    waiting: deque[tuple[Future[Answer], int]] = deque()
    try:
        checked(connection.request("GET", "/download", query={"file-name": "drive-scsi0.img.fidx"}))
        for chunk in chunks:
            waiting.append((connection.request("GET", "/chunk", query={"digest": chunk.digest.hex()}), len(chunk.blob)))
            if len(waiting) == IN_FLIGHT:
                _take(*waiting.popleft())
        while waiting:
            _take(*waiting.popleft())
    finally:
        connection.close()


def _take(pending: Future[Answer], size: int) -> None:
    if len(checked(pending)) != size:
        raise RuntimeError("a chunk came back with another size")
