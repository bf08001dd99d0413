"""The server's certificate: made once, given by the administrator, or refused in words."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from platevault.clock import ManualClock
from platevault.errors import Unavailable
from platevault.services.certificate import CERTIFICATE_FILE, KEY_FILE, Certificate, CertificateUnusable, ensure, load

NAMES = ["backup.example.org", "backup", "localhost", "127.0.0.1", "::1", "backup"]
NOW = 1_718_000_000


def make(where: Path, names: list[str] = NAMES) -> Certificate:
    return ensure(where, clock=ManualClock(NOW), names=names)


class TestOwn:
    """Self-signed, in the state directory."""

    def test_it_is_made_once(self, tmp_path: Path) -> None:
        first = make(tmp_path)
        before = (tmp_path / CERTIFICATE_FILE).read_bytes(), (tmp_path / KEY_FILE).read_bytes()
        assert make(tmp_path, ["other"]).fingerprint == first.fingerprint
        assert ((tmp_path / CERTIFICATE_FILE).read_bytes(), (tmp_path / KEY_FILE).read_bytes()) == before

    def test_nobody_else_reads_it(self, tmp_path: Path) -> None:
        make(tmp_path)
        assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path)} == {
            CERTIFICATE_FILE: 0o600,
            KEY_FILE: 0o600,
        }

    def test_what_it_says(self, tmp_path: Path) -> None:
        made = make(tmp_path)
        record = made.record()
        der = ssl.PEM_cert_to_DER_cert(record["pem"])
        assert record["fingerprint"] == made.fingerprint == hashlib.sha256(der).digest().hex(":")
        assert re.fullmatch(r"(?:[0-9a-f]{2}:){31}[0-9a-f]{2}", made.fingerprint)
        assert record["san"] == ["backup.example.org", "backup", "localhost", "127.0.0.1", "::1"]
        assert record["subject"] == record["issuer"] == "O = Platevault, CN = backup.example.org"
        assert (record["public-key-type"], record["public-key-bits"]) == ("id-ecPublicKey", 256)
        assert record["notbefore"] == NOW - 86400
        assert record["notafter"] == int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
        assert record["filename"] == CERTIFICATE_FILE

    def test_names_that_cannot_stand_in_it_are_left_out(self, tmp_path: Path) -> None:
        made = make(tmp_path, ["büro", "", "backup", "x" * 100])
        assert made.record()["san"] == ["backup", "x" * 100]

    def test_a_long_host_name(self, tmp_path: Path) -> None:
        [attribute] = make(tmp_path, ["h" * 90]).leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert attribute.value == "h" * 64

    def test_an_interrupted_start_is_made_good_by_the_next_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The key was written, its certificate was not."""
        real = os.replace

        def replace(source: str, target: Path) -> None:
            if target.name == CERTIFICATE_FILE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(source, target)

        with monkeypatch.context() as full:
            full.setattr(os, "replace", replace)
            with pytest.raises(Unavailable, match="No space left"):
                make(tmp_path)
        assert os.listdir(tmp_path) == [KEY_FILE]
        make(tmp_path).context()

    def test_clients_of_both_versions_of_tls(self, tmp_path: Path) -> None:
        context = make(tmp_path).context()
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def write(where: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> tuple[Path, Path]:
    """Somebody else's certificate for this key, without alternative names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "given")])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2034, 1, 1, tzinfo=UTC))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (where / "given.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (where / "given.key").write_bytes(private)
    return where / "given.pem", where / "given.key"


class TestGiven:
    """By the administrator."""

    @pytest.mark.parametrize(
        ("key", "kind", "bits"),
        [
            (lambda: ec.generate_private_key(ec.SECP384R1()), "id-ecPublicKey", 384),
            (lambda: rsa.generate_private_key(65537, 2048), "rsaEncryption", 2048),
            (ed25519.Ed25519PrivateKey.generate, "ED25519", 256),
        ],
        ids=["EC", "RSA", "Ed25519"],
    )
    def test_of_each_kind(self, tmp_path: Path, key: Callable[[], ec.EllipticCurvePrivateKey], kind: str, bits: int) -> None:
        record = load(*write(tmp_path, key())).record()
        assert (record["public-key-type"], record["public-key-bits"], record["san"]) == (kind, bits, [])
        assert record["subject"] == "CN = given"

    def test_with_its_chain_behind_it(self, tmp_path: Path) -> None:
        certificate, key = write(tmp_path, ec.generate_private_key(ec.SECP256R1()))
        alone = load(certificate, key).fingerprint
        make(tmp_path)
        certificate.write_bytes(certificate.read_bytes() + (tmp_path / CERTIFICATE_FILE).read_bytes())
        assert load(certificate, key).fingerprint == alone

    def test_key_and_certificate_in_one_file(self, tmp_path: Path) -> None:
        certificate, key = write(tmp_path, ec.generate_private_key(ec.SECP256R1()))
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
        assert load(certificate, certificate).record()["subject"] == "CN = given"

    @pytest.mark.parametrize("damage", ["no certificate", "no key", "empty", "another key", "garbage", "garbage key"])
    def test_what_cannot_be_used(self, tmp_path: Path, damage: str) -> None:
        certificate, key = write(tmp_path, ec.generate_private_key(ec.SECP256R1()))
        if damage == "no certificate":
            certificate.unlink()
        elif damage == "no key":
            key.unlink()
        elif damage == "empty":
            certificate.write_bytes(b"")
        elif damage == "another key":
            make(tmp_path)
            key = tmp_path / KEY_FILE
        else:
            (certificate if damage == "garbage" else key).write_bytes(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        with pytest.raises(CertificateUnusable, match=r"given\.pem"):
            load(certificate, key)
