"""An HTTP/2 server that we did not write (package h2) over a socket, and that misbehaves on command."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings

from kit.tls_pair import TIMEOUT_S

RECEIVE_BYTES = 65536


@dataclass
class Asked:
    """One request as it has arrived so far."""

    stream: int
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def path(self) -> str:
        return self.headers[":path"]


class H2Server:
    """Answers in a thread of its own. `on_end` is called for each complete request, `on_head` for each that begins."""

    def __init__(
        self,
        sock: ssl.SSLSocket,
        on_end: Callable[[H2Server, Asked], None],
        *,
        on_head: Callable[[H2Server, Asked], None] | None = None,
        settings: dict[int, int] | None = None,
    ) -> None:
        self.sock, self._on_end, self._on_head = sock, on_end, on_head
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        codes = h2.settings.SettingCodes
        values = {codes.MAX_CONCURRENT_STREAMS: 200, codes.MAX_FRAME_SIZE: 4194304, codes.INITIAL_WINDOW_SIZE: 65535}
        values |= {codes(name): value for name, value in (settings or {}).items()}
        self.connection.local_settings = h2.settings.Settings(client=False, initial_values=values)
        self.connection.max_inbound_frame_size = values[codes.MAX_FRAME_SIZE]
        self.asked: dict[int, Asked] = {}
        self.most_open = 0
        self.gives_windows = True
        self.ends: threading.Event = threading.Event()
        self._unsent: dict[int, bytes] = {}
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end; raises what went wrong in the thread."""
        self._thread.join(TIMEOUT_S)
        if self.failure is not None:
            raise self.failure

    def respond(self, stream: int, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer; the body follows as the client's windows allow."""
        fields = [(":status", str(status)), *((name.replace("_", "-"), value) for name, value in headers.items())]
        self.connection.send_headers(stream, fields, end_stream=not body)
        if body:
            self._unsent[stream] = body
            self.send_more()

    def send_more(self) -> None:
        """Send what the windows allow."""
        for stream, body in list(self._unsent.items()):
            while body and (size := min(len(body), self.connection.local_flow_control_window(stream))) > 0:
                size = min(size, self.connection.max_outbound_frame_size)
                self.connection.send_data(stream, body[:size], end_stream=size == len(body))
                body = body[size:]
            self._unsent[stream] = body
            if not body:
                del self._unsent[stream]
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.connection.data_to_send())

    def _run(self) -> None:
        try:
            self.connection.initiate_connection()
            self.flush()
            while received := self.sock.recv(RECEIVE_BYTES):
                for event in self.connection.receive_data(received):
                    self._on(event)
                self.flush()
        except (OSError, ValueError):
            pass  # the client dropped the connection, or the test closed it
        except Exception as error:
            self.failure = error
        finally:
            with contextlib.suppress(OSError):
                self.sock.close()
            self.ends.set()

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=list(headers)):
                asked = self.asked[stream] = Asked(stream, {str(name): str(value) for name, value in headers})
                self.most_open = max(self.most_open, self.connection.open_inbound_streams)
                if self._on_head is not None:
                    self._on_head(self, asked)
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(size)):
                self.asked[stream].body += data
                if self.gives_windows:
                    self.connection.acknowledge_received_data(size, stream)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self.asked[stream].ended = True
                self._on_end(self, self.asked[stream])
            case h2.events.StreamReset(stream_id=int(stream), error_code=code):
                self.asked[stream].reset = int(code or 0)
                self._unsent.pop(stream, None)
            case h2.events.WindowUpdated():
                self.send_more()
