"""An HTTP/2 client that we did not write (package h2) over a socket; as strict about flow control and states as RFC 9113."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings

RECEIVE_BYTES = 65536


@dataclass
class Answer:
    """What has arrived of one answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None


class H2Client:
    """One connection. Every wait ends with the socket's timeout. `window`: what each stream may send us unasked."""

    def __init__(self, sock: ssl.SSLSocket, *, window: int = 4 * 1024 * 1024, frame_bytes: int = 16384) -> None:
        self.sock = sock
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        codes = h2.settings.SettingCodes
        self.connection.local_settings = h2.settings.Settings(
            client=True,
            initial_values={codes.INITIAL_WINDOW_SIZE: window, codes.MAX_FRAME_SIZE: frame_bytes, codes.ENABLE_PUSH: 0},
        )
        self.connection.max_inbound_frame_size = frame_bytes
        self.answers: dict[int, Answer] = {}
        self.goaway: int | None = None
        self.pings: list[bytes] = []
        self.greeted = False
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.connection.data_to_send())

    def open(self, method: str, path: str, fields: tuple[tuple[str, str], ...] = (), *, end: bool = False) -> int:
        """Send the headers of a request, after the server's settings have come; returns the stream."""
        while not self.greeted:
            self.pump()
        stream = self.connection.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost:8007"), (":path", path)]
        self.connection.send_headers(stream, [*pseudo, *fields], end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a body, waiting for the windows; stops when the server has reset the stream."""
        view = memoryview(data)
        while len(view) and self.answers[stream].reset is None:
            size = min(len(view), self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size)
            if size <= 0:
                self.pump()
                continue
            self.connection.send_data(stream, bytes(view[:size]))
            view = view[size:]
            self.flush()
        if end and self.answers[stream].reset is None:
            self.connection.end_stream(stream)
            self.flush()

    def request(self, method: str, path: str, body: bytes = b"", fields: tuple[tuple[str, str], ...] = ()) -> int:
        """A whole request; returns its stream."""
        stream = self.open(method, path, fields, end=not body)
        if body:
            self.send(stream, body, end=True)
        return stream

    def answer(self, stream: int) -> Answer:
        """Wait until the answer is complete or the stream was reset."""
        answer = self.answers[stream]
        while not answer.ended and answer.reset is None:
            self.pump()
        return answer

    def pump(self) -> None:
        """Receive something and deal with it. Raises ConnectionError at the end of the connection."""
        received = self.sock.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server closed the connection")
        for event in self.connection.receive_data(received):
            self._on(event)
        self.flush()

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self.greeted = True
            case h2.events.ResponseReceived(stream_id=int(stream), headers=list(headers)):
                fields = {str(name): str(value) for name, value in headers}
                self.answers[stream].status = int(fields.pop(":status"))
                self.answers[stream].headers = fields
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(size)):
                self.answers[stream].body += data
                self.connection.acknowledge_received_data(size, stream)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self.answers[stream].ended = True
            case h2.events.StreamReset(stream_id=int(stream), error_code=code):
                self.answers[stream].reset = int(code or 0)
            case h2.events.ConnectionTerminated(error_code=code):
                self.goaway = int(code or 0)
            case h2.events.PingAckReceived(ping_data=bytes(data)):
                self.pings.append(data)

    def receive_until_end(self) -> None:
        """Take in what still comes until the server closes."""
        try:
            while True:
                self.pump()
        except (ConnectionError, ssl.SSLError):
            pass
