"""The REST API under many keep-alive clients: version, list of 200 snapshots, datastore usage."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from urllib.parse import urlsplit

from bench.figure import MIB, Row, Scale
from bench.process import Meter
from bench.sender import prepare, send_snapshot

CLIENTS = 50
SNAPSHOTS = 200


def measure(scale: Scale) -> list[Row]:
    chunks, moment = prepare("plain", 4 * MIB), int(time.time())
    for number in range(SNAPSHOTS):
        send_snapshot(f"bench-{number % 10}", chunks, moment - SNAPSHOTS + number)
    store = os.environ["CONF_STORE"]
    cases = [
        ("version", "/version", 4000, ">= 2000/s"),
        ("list of 200 snapshots", f"/admin/datastore/{store}/snapshots", 800, ">= 400/s, p99 <= 300 ms"),
        ("datastore usage", "/status/datastore-usage", 1600, ">= 800/s"),
    ]
    rows = [_row(f"{CLIENTS} clients: {what}", path, scale.count(requests), goal, CLIENTS) for what, path, requests, goal in cases]
    return [*rows, _row("1 client: list of 200 snapshots", cases[1][1], scale.count(100), "median <= 15 ms", 1)]


def _row(what: str, path: str, requests: int, goal: str, clients: int) -> Row:
    with Meter() as meter:
        times = sorted(asyncio.run(_ask(path, requests, clients)))
    usage = meter.usage()
    extra = {"per_s": len(times) / usage.wall_s, "median_ms": times[len(times) // 2] * 1000, "p99_ms": times[len(times) * 99 // 100] * 1000}
    return Row(what, usage.wall_s, 0, usage.server_cpu_s, server_peak_mib=usage.server_peak_mib, target=goal, extra=dict(extra))


async def _ask(path: str, requests: int, clients: int) -> list[float]:
    times: list[float] = []
    each = max(1, requests // clients)
    await asyncio.gather(*(_client(path, each, times) for _ in range(clients)))
    return times


async def _client(path: str, requests: int, times: list[float]) -> None:
    url = urlsplit(os.environ["CONF_URL"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    authorization = f"PBSAPIToken={os.environ['CONF_TOKENID']}:{os.environ['CONF_TOKEN']}"
    request = f"GET /api2/json{path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: {authorization}\r\n\r\n".encode()
    for _ in range(requests):
        start = time.perf_counter()
        writer.write(request)
        await _answer(reader)
        times.append(time.perf_counter() - start)
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if " 200 " not in head.split("\r\n", 1)[0]:
        raise RuntimeError(head)
    if "transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    length = head.split("content-length:", 1)[1].split("\r\n", 1)[0]
    await reader.readexactly(int(length))
