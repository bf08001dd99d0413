"""A live TLS connection outside the event loop: a socket, the TLS state, and nothing that knows what travels on it.

The TLS state is an `ssl.SSLObject` over two memory BIOs, so that a connection which began under the event loop can be handed to
a thread. One lock guards the TLS state: OpenSSL forbids two threads in one connection at the same time. Two ways of use, never mixed:

* event style (server): one thread polls `fileno()`, calls `receive_ready`, `queue` and `flush`; the socket does not block;
* blocking style (client): one thread calls `receive`, any number of threads call `send`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque

from platevault.errors import Unavailable

RAW_READ_BYTES = 512 * 1024  # measured: 64 KiB costs 20 % more CPU a byte, 4 MiB falls out of the processor cache
ENCRYPT_STEP_BYTES = 256 * 1024  # bounds what one call adds to the outgoing BIO


class LinkClosed(Unavailable):
    """The peer is gone. Fact `clean`: it closed in order (TLS close or FIN), not by a reset or a TLS error."""


class TlsLink:
    """One TLS connection. `_tls_lock` protects the SSL object and both BIOs, `_send_lock` the order of bytes on the socket."""

    def __init__(
        self, sock: socket.socket, ssl_object: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *, early: bytes = b""
    ) -> None:
        """early: bytes that were decrypted already; they come first out of `receive` and `receive_ready`."""
        self._early = early
        self._sock = sock
        self._tls = ssl_object
        self._incoming = incoming
        self._outgoing = outgoing
        self._tls_lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._raw = memoryview(bytearray(RAW_READ_BYTES))
        self._backlog: deque[memoryview] = deque()
        self.backlog_bytes = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def peer_name(self) -> str:
        """Address of the peer as text, empty when it is gone already."""
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return ""

    def set_blocking(self, blocking: bool) -> None:
        self._sock.setblocking(blocking)

    # --- event style ---

    def receive_ready(self, view: memoryview) -> int:
        """Decrypt into `view` what is there now; 0 when nothing is complete yet. Raises LinkClosed at the end."""
        filled = self._decrypt(view)
        if filled:
            return filled
        try:
            count = self._sock.recv_into(self._raw[: max(1, min(len(view), RAW_READ_BYTES))])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise LinkClosed(f"connection lost: {error.strerror or error}", clean=False) from error
        return self._accept(count, view)

    def queue(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and put behind what waits to be sent; `flush` sends. Takes the bytes at once, the buffer may be reused."""
        view = memoryview(data)
        with self._tls_lock:
            for start in range(0, len(view), ENCRYPT_STEP_BYTES):
                self._write_tls(view[start : start + ENCRYPT_STEP_BYTES])
                self._keep(self._outgoing.read())

    def flush(self) -> bool:
        """Send without blocking; True when nothing is left. Raises LinkClosed."""
        if self._outgoing.pending:  # an answer of the TLS layer itself, e.g. to a key update
            with self._tls_lock:
                self._keep(self._outgoing.read())
        while self._backlog:
            try:
                sent = self._sock.send(self._backlog[0])
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                raise LinkClosed(f"connection lost: {error.strerror or error}", clean=False) from error
            self._dropped(sent)
        return True

    def _keep(self, sealed: bytes) -> None:
        if sealed:
            self._backlog.append(memoryview(sealed))
            self.backlog_bytes += len(sealed)

    def _dropped(self, sent: int) -> None:
        self.backlog_bytes -= sent
        head = self._backlog[0]
        if sent == len(head):
            self._backlog.popleft()
        else:
            self._backlog[0] = head[sent:]

    # --- blocking style ---

    def receive(self, view: memoryview) -> int:
        """Wait for data and decrypt it into `view`; at least 1 byte. Raises LinkClosed at the end."""
        filled = self._decrypt(view)
        while not filled:
            try:
                count = self._sock.recv_into(self._raw[: max(1, min(len(view), RAW_READ_BYTES))])
            except OSError as error:
                raise LinkClosed(f"connection lost: {error.strerror or error}", clean=False) from error
            filled = self._accept(count, view)
            if self._outgoing.pending:
                self.send()
        return filled

    def send(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Encrypt and send all, waiting for the peer as long as it takes. Safe from several threads. Raises LinkClosed."""
        with self._send_lock:
            try:
                for buffer in buffers:
                    view = memoryview(buffer)
                    for start in range(0, len(view), ENCRYPT_STEP_BYTES):
                        self._sock.sendall(self._seal(view[start : start + ENCRYPT_STEP_BYTES]))
                if not buffers:
                    self._sock.sendall(self._seal(b""))
            except OSError as error:
                raise LinkClosed(f"connection lost: {error.strerror or error}", clean=False) from error

    def _seal(self, view: bytes | memoryview) -> bytes:
        with self._tls_lock:
            if len(view):
                self._write_tls(view)
            return self._outgoing.read()

    # --- both ---

    def _write_tls(self, view: bytes | memoryview) -> None:
        done = 0
        while done < len(view):
            try:
                done += self._tls.write(view[done:])
            except ssl.SSLError as error:
                raise LinkClosed(f"TLS failed: {error.reason or error}", clean=False) from error

    def _accept(self, count: int, view: memoryview) -> int:
        if count == 0:
            raise LinkClosed("the peer closed the connection", clean=True)
        with self._tls_lock:
            self._incoming.write(self._raw[:count])
        return self._decrypt(view)

    def _decrypt(self, view: memoryview) -> int:
        """Decrypted bytes now in `view`. OpenSSL gives one record of at most 16 KiB a call, hence the loop."""
        filled, size = 0, len(view)
        if self._early:
            filled = min(size, len(self._early))
            view[:filled], self._early = self._early[:filled], self._early[filled:]
        with self._tls_lock:
            read = self._tls.read
            try:
                while filled < size:
                    # Typed as returning bytes; with a buffer it returns the count.
                    count: int = read(size - filled, view[filled:])  # type: ignore[assignment]
                    if count == 0:  # how an SSLObject says that close_notify came; the peer may keep the TCP connection open
                        raise ssl.SSLZeroReturnError
                    filled += count
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
                if not filled:  # else the next call comes here again
                    raise LinkClosed("the peer closed the connection", clean=True) from error
            except ssl.SSLError as error:
                raise LinkClosed(f"TLS failed: {error.reason or error}", clean=False) from error
        return filled

    def shutdown_sending(self) -> None:
        """Tell the peer that nothing more comes (TLS close_notify, then FIN). Never raises."""
        with contextlib.suppress(OSError, ssl.SSLError, LinkClosed):
            with self._tls_lock:
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                self._keep(self._outgoing.read())
            self.flush()
            self._sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """End both directions at once; a thread that waits in `receive` or `send` gets LinkClosed. Never raises."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back. Never raises; harmless twice."""
        with contextlib.suppress(OSError):
            self._sock.close()
