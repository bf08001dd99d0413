"""Whose certificate is accepted, and where accepted ones are remembered."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.memory_server import MemoryServer
from platevault.client.connect import open_tls
from platevault.client.fingerprints import load_fingerprint, store_fingerprint
from platevault.client.trust import CannotConnect, Trust, UntrustedCertificate, parse_fingerprint, probe
from platevault.errors import Invalid

PAIRS = [f"{number:02x}" for number in range(32)]
TEXT = ":".join(PAIRS)


@pytest.fixture
def server(tmp_path: Path) -> MemoryServer:
    return MemoryServer(tmp_path)


@pytest.mark.parametrize("text", [TEXT, TEXT.upper(), "".join(PAIRS), f" {TEXT}\n"])
def test_a_fingerprint_in_every_spelling(text: str) -> None:
    assert parse_fingerprint(text) == TEXT


@pytest.mark.parametrize("text", ["", TEXT[:-1], TEXT + ":00", TEXT.replace("0", "g"), "sha1:" + TEXT])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(Invalid, match="no SHA-256 fingerprint"):
        parse_fingerprint(text)


def test_the_pinned_certificate_is_accepted_whatever_its_name(server: MemoryServer) -> None:
    with server:
        assert probe("127.0.0.1", server.port) == server.fingerprint
        open_tls("127.0.0.1", server.port, Trust(server.fingerprint)).close()


def test_another_certificate_than_the_pinned_one_is_refused_and_shown(server: MemoryServer) -> None:
    with server, pytest.raises(UntrustedCertificate) as caught:
        open_tls("127.0.0.1", server.port, Trust(TEXT))
    assert (caught.value.expected, caught.value.got) == (TEXT, server.fingerprint)
    assert server.fingerprint in str(caught.value)


def test_without_a_pin_the_authorities_decide(server: MemoryServer, tmp_path: Path) -> None:
    with server:
        with pytest.raises(UntrustedCertificate, match=r"self.signed"):
            open_tls("127.0.0.1", server.port, Trust())
        own = Trust(ca_file=tmp_path / "server.pem")
        open_tls("127.0.0.1", server.port, own).close()
        open_tls("localhost", server.port, own).close()


def test_a_good_certificate_of_another_host_is_refused(server: MemoryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: connect(("127.0.0.1", address[1]), timeout))
    with server, pytest.raises(UntrustedCertificate, match=r"other\.example"):
        open_tls("other.example", server.port, Trust(ca_file=tmp_path / "server.pem"))


@pytest.mark.parametrize("ask", [probe, lambda host, port: open_tls(host, port, Trust())])
def test_no_server_and_no_such_name(ask: Callable[[str, int], object], server: MemoryServer) -> None:
    with server:
        free = server.port
    with pytest.raises(CannotConnect, match="refused") as caught:
        ask("127.0.0.1", free)
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", free)
    with pytest.raises(CannotConnect):
        ask("x" * 64 + ".invalid", 8007)


def test_fingerprints_are_remembered_by_server(tmp_path: Path) -> None:
    file, other = tmp_path / "new" / "fingerprints", ":".join(["ff"] * 32)
    assert load_fingerprint(file, "a:8007") is None
    store_fingerprint(file, "a:8007", other)
    store_fingerprint(file, "b:8007", other)
    store_fingerprint(file, "a:8007", TEXT)
    assert load_fingerprint(file, "a:8007") == TEXT
    assert load_fingerprint(file, "b:8007") == other
    assert load_fingerprint(file, "a:8008") is None
    assert file.read_text() == f"b:8007 {other}\na:8007 {TEXT}\n"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("raw", [b"", b"a:8007\n", b"a:8007 nonsense\n", b"\xff\xfe\x00", b"a:8007 " + b"x" * 1000])
def test_a_damaged_file_only_means_asking_again(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "fingerprints").write_bytes(raw)
    assert load_fingerprint(tmp_path / "fingerprints", "a:8007") is None
    (tmp_path / "fingerprints").write_bytes(f"a:8007 {TEXT}\n".encode() + raw)
    assert load_fingerprint(tmp_path / "fingerprints", "a:8007") == TEXT
