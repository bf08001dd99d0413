from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from kit.certificate import write_certificate
from platevault.wire.certificates import BadCertificate, CertificateFiles, server_context


def test_old_versions_and_renegotiation_are_off(tmp_path: Path) -> None:
    context = server_context(*write_certificate(tmp_path)[:2])
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not [cipher for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2" and not cipher["aead"]]


def test_files_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path) -> None:
    certificate, key, _ = write_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other_key = write_certificate(tmp_path / "other")[1]
    for pair in ((certificate, other_key), (tmp_path / "missing", key), (certificate, certificate)):
        with pytest.raises(BadCertificate) as caught:
            CertificateFiles(*pair)
        assert caught.value.path == str(pair[0])


def test_the_context_changes_with_its_files_and_only_then(tmp_path: Path) -> None:
    source = CertificateFiles(*write_certificate(tmp_path)[:2])
    first = source()
    assert source() is first
    write_certificate(tmp_path)
    assert source() is not first


@pytest.mark.parametrize("content", ["half a certificate", None])
def test_half_of_a_replacement_keeps_the_old_context_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    certificate, key, _ = write_certificate(tmp_path)
    source = CertificateFiles(certificate, key)
    first = source()
    certificate.unlink()
    if content is not None:
        certificate.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert [source() is first for _ in range(3)] == [True] * 3
    assert len(caplog.records) == 1
