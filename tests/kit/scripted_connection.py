"""A connection without a server: the test sees each request and answers it when it likes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from platevault.wire.http2.call import Answer, ConnectionLost

TIMEOUT_S = 20.0


@dataclass
class Sent:
    """One request, and the future of its answer."""

    method: str
    path: str
    query: dict[str, object]
    body: bytes
    future: Future[Answer]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def answer(self, data: object = None, status: int = 200) -> None:
        body = data if isinstance(data, bytes) else json.dumps({"data": data}).encode()
        self.future.set_result(Answer(status, {}, body))

    def lose(self) -> None:
        self.future.set_exception(ConnectionLost("connection to the server lost: for a test"))


class ScriptedConnection:
    """Requests matching a key of `automatic` (METHOD path) are answered at once with its data. `_arrived` guards `sent`."""

    def __init__(self, automatic: Mapping[str, object] | None = None) -> None:
        self.sent: list[Sent] = []
        self.automatic = dict(automatic or {})
        self.is_closed = False
        self._arrived = threading.Condition()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | bytearray | memoryview | Iterable[bytes | memoryview] = b"",
        content_type: str | None = None,
        max_bytes: int = 0,
    ) -> Future[Answer]:
        whole = bytes(body) if isinstance(body, bytes | bytearray | memoryview) else b"".join(body)
        sent = Sent(method, path, dict(query or {}), whole, Future())
        with self._arrived:
            self.sent.append(sent)
            self._arrived.notify_all()
        if f"{method} {path}" in self.automatic:
            sent.answer(self.automatic[f"{method} {path}"])
        return sent.future

    def close(self) -> None:
        self.is_closed = True
        for sent in self.sent:
            if not sent.future.done():
                sent.lose()

    def all(self, method: str, path: str = "") -> list[Sent]:
        with self._arrived:
            return [sent for sent in self.sent if sent.method == method and path in sent.path]

    def wait_for(self, method: str, path: str, count: int = 1) -> Sent:
        """The `count`-th request of this kind; waits until it comes."""
        with self._arrived:
            assert self._arrived.wait_for(
                lambda: len([sent for sent in self.sent if (sent.method, sent.path) == (method, path)]) >= count, TIMEOUT_S
            )
        return self.all(method, path)[count - 1]
