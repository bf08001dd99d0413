"""An application for the listener that answers with what it saw, and a way to ask it."""

from __future__ import annotations

import ssl
import threading
from typing import Any

from kit.https_server import read_answer
from platevault.wire.link import TlsLink

PROTOCOL = "some-protocol-v1"


class EchoApp:
    """Answers with what it saw; `/refuse` is 400, `/upgrade` leaves HTTP and echoes bytes from a thread."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["raw_path"] == b"/upgrade":
            link = await scope["extensions"]["platevault.takeover"]([(b"upgrade", PROTOCOL.encode())])
            self.threads.append(threading.Thread(target=_echo, args=(link,)))
            self.threads[-1].start()
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        seen = b" ".join((scope["method"].encode(), scope["raw_path"], scope["query_string"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(seen)).encode())]})
        await send({"type": "http.response.body", "body": seen})


def _echo(link: TlsLink) -> None:
    """Send back what comes until `bye`, which ends the connection."""
    link.set_blocking(True)
    link.flush()
    buffer = memoryview(bytearray(65536))
    said = b""
    while not said.endswith(b"bye"):
        count = link.receive(buffer)
        said += bytes(buffer[:count])
        link.send(buffer[:count])
    link.close()


def ask(sock: ssl.SSLSocket, head: str, body: bytes = b"") -> tuple[str, dict[str, str], bytes]:
    sock.sendall(head.replace("\n", "\r\n").encode() + body)
    return read_answer(sock)
