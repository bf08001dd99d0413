"""Whom we talk to: the server's certificate is checked against a pinned SHA-256 fingerprint, or against certificate authorities.

Source: spec wire-protocol §2.1, clients §4.1: the fingerprint is that of the leaf certificate (DER), 32 hex pairs joined by colons,
in either case. With a fingerprint the chain and the host name do not count.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from platevault.errors import Forbidden, Invalid, Unavailable

CONNECT_TIMEOUT_S = 10.0  # as existing clients; a dead server is then told apart from a slow one


class UntrustedCertificate(Forbidden):
    """The server's certificate is not the one we trust. Facts `host`, and `expected` and `got` when a fingerprint was given."""


class CannotConnect(Unavailable):
    """No TLS connection to the server. Facts `host`, `port`."""


def parse_fingerprint(text: str) -> str:
    """The lower-case form with colons of a SHA-256 fingerprint, written with or without colons, in either case. Raises Invalid."""
    digits = text.strip().replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise Invalid(f"{text!r} is no SHA-256 fingerprint: expected 32 hex pairs joined by colons", text=text)
    return ":".join(digits[at : at + 2] for at in range(0, 64, 2))


def fingerprint_of(certificate: bytes) -> str:
    """The fingerprint text of a certificate in DER form."""
    return parse_fingerprint(hashlib.sha256(certificate).hexdigest())


@dataclass(frozen=True, slots=True)
class Trust:
    """`fingerprint` (as `parse_fingerprint` returns it) pins one certificate; without one, `ca_file` or the system's authorities decide."""

    fingerprint: str | None = None
    ca_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS settings for a client. Offers no ALPN, so that the upgrade runs over HTTP/1.1."""
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.fingerprint is not None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, host: str, certificate: bytes | None) -> None:
        """Compare the leaf certificate with the pin. Raises UntrustedCertificate; without a pin the TLS layer has checked already."""
        if self.fingerprint is None:
            return
        got = fingerprint_of(certificate or b"")
        if not hmac.compare_digest(got, self.fingerprint):
            text = f"the certificate of {host} has another fingerprint than expected: {got}"
            raise UntrustedCertificate(text, host=host, expected=self.fingerprint, got=got)


def probe(host: str, port: int) -> str:
    """The fingerprint that a server shows now, checked against nothing. Raises CannotConnect."""
    context = Trust(fingerprint="").context()
    try:
        with (
            socket.create_connection((host, port), CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return fingerprint_of(secure.getpeercert(binary_form=True) or b"")
    except (OSError, UnicodeError) as error:  # a host name that cannot be encoded is of the second kind
        raise cannot_connect(host, port, error) from error


def cannot_connect(host: str, port: int, error: OSError | UnicodeError) -> CannotConnect | UntrustedCertificate:
    """Our error for what the socket or the TLS layer said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedCertificate(
            f"the certificate of {host} is not trusted ({error.verify_message}); give its fingerprint or the file of its authority",
            host=host,
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return CannotConnect(f"cannot connect to {host} port {port}: {reason}", host=host, port=port)
