"""The server's certificate: made once, self-signed, unless the administrator gives one.

Clients pin the SHA-256 of the leaf certificate, so it is never renewed by itself: it is valid for as long as X.509 can say.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from platevault.clock import Clock
from platevault.errors import Invalid, Unavailable

CERTIFICATE_FILE = "proxy.pem"
KEY_FILE = "proxy.key"
NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
KEY_TYPES: tuple[tuple[Any, str], ...] = (
    (rsa.RSAPublicKey, "rsaEncryption"),
    (ec.EllipticCurvePublicKey, "id-ecPublicKey"),
    (ed25519.Ed25519PublicKey, "ED25519"),
    (ed448.Ed448PublicKey, "ED448"),
)


class CertificateUnusable(Invalid):
    """The certificate or its key cannot be read, or they do not belong together. Fact: `path`."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, as files in PEM form; the first certificate of the file is the leaf."""

    certificate_path: Path
    key_path: Path
    leaf: x509.Certificate

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the leaf in DER form: 32 lower-case hex pairs with colons."""
        return self.leaf.fingerprint(hashes.SHA256()).hex(":")

    def context(self) -> ssl.SSLContext:
        """A server context: TLS 1.2 and 1.3, no application protocol. Raises CertificateUnusable."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate_path, self.key_path)
        except (OSError, ssl.SSLError) as error:
            raise CertificateUnusable(
                f"certificate '{self.certificate_path}' cannot be used: {error}", path=self.certificate_path
            ) from error
        return context

    def record(self) -> dict[str, Any]:
        """The record CertInfo of the API."""
        key = self.leaf.public_key()
        return {
            "filename": CERTIFICATE_FILE,
            "fingerprint": self.fingerprint,
            "issuer": _name(self.leaf.issuer),
            "subject": _name(self.leaf.subject),
            "notbefore": int(self.leaf.not_valid_before_utc.timestamp()),
            "notafter": int(self.leaf.not_valid_after_utc.timestamp()),
            "pem": self.leaf.public_bytes(serialization.Encoding.PEM).decode(),
            "public-key-bits": getattr(key, "key_size", 256),
            "public-key-type": next((text for kind, text in KEY_TYPES if isinstance(key, kind)), "unknown"),
            "san": _alternative_names(self.leaf),
        }


def load(certificate_path: Path, key_path: Path) -> Certificate:
    """The certificate of two PEM files. Raises CertificateUnusable."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate_path.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise CertificateUnusable(f"certificate '{certificate_path}' cannot be read: {error}", path=certificate_path) from error
    certificate = Certificate(certificate_path, key_path, leaf)
    certificate.context()
    return certificate


def ensure(state_dir: Path, *, clock: Clock, names: Sequence[str]) -> Certificate:
    """The certificate of the state directory; a self-signed one is made when there is none.

    names: host names and addresses under which clients may know the server.
    """
    certificate_path, key_path = state_dir / CERTIFICATE_FILE, state_dir / KEY_FILE
    if not certificate_path.exists() or not key_path.exists():
        _create(certificate_path, key_path, clock=clock, names=names)
    return load(certificate_path, key_path)


def _create(certificate_path: Path, key_path: Path, *, clock: Clock, names: Sequence[str]) -> None:
    # P-256: the handshake costs a tenth of RSA, and every client since 2012 knows it.
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _self_signed(key, clock=clock, names=names)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        # The key first: a certificate without its key would be found complete at the next start.
        _write(key_path, private)
        _write(certificate_path, leaf.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise Unavailable(f"certificate '{certificate_path}' cannot be written: {error.strerror}", path=certificate_path) from error


def _self_signed(key: ec.EllipticCurvePrivateKey, *, clock: Clock, names: Sequence[str]) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Platevault"), x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(clock.now() - 24 * 3600, UTC))  # clocks of clients may be behind
        .not_valid_after(NOT_AFTER)
        .add_extension(
            x509.SubjectAlternativeName([_alternative(one) for one in dict.fromkeys(names) if one and one.isascii()]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _alternative_names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _name(name: x509.Name) -> str:
    return ", ".join(f"{attribute.rfc4514_attribute_name} = {attribute.value!s}" for attribute in name)


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all; it survives a power cut: clients have its fingerprint from now on."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
