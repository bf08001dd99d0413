"""The TLS side of the listener: which versions and ciphers, and a certificate that can be replaced while the server runs.

Source: spec wire-protocol §2.1, rest-api §1.1. Mozilla's "intermediate" profile: TLS 1.2 and 1.3, no renegotiation, no ALPN.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from platevault.errors import Invalid

TLS12_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
    )
)

ContextSource = Callable[[], ssl.SSLContext]

log = logging.getLogger(__name__)


class BadCertificate(Invalid):
    """Certificate or key cannot be read, or do not belong together. Facts: `path`."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for the listener. certificate: PEM, leaf first, then its chain. Raises BadCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(TLS12_CIPHERS)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(f"certificate '{certificate}' with key '{key}' cannot be used: {error}", path=str(certificate)) from error
    return context


class CertificateFiles:
    """A context source that follows its files. `_lock` protects the context and what it was made from.

    New files count from the next connection on. Files that cannot be used are reported once and the old context stays: half
    of a replacement must not take the server down.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises BadCertificate when the first load fails."""
        self._certificate, self._key = certificate, key
        self._lock = threading.Lock()
        self._seen = self._look()
        self._context = server_context(certificate, key)

    def __call__(self) -> ssl.SSLContext:
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                try:
                    self._context = server_context(self._certificate, self._key)
                except BadCertificate as error:
                    log.error("keeping the old certificate: %s", error)
            return self._context

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What tells one version of the files from the next; zeros for a missing file."""
        found = []
        for path in (self._certificate, self._key):
            try:
                known = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((known.st_ino, known.st_mtime_ns, known.st_size))
        return tuple(found)
