"""Encrypted, signed, and with a master key: over the whole way, with the key files that users have."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kit.live_client import LiveClient
from kit.live_server import LiveServer

MARK = b"this text must never reach the server in clear"
CONTENT = random.Random(3).randbytes(5_000_000) + MARK * 1000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "disk").write_bytes(CONTENT)
    return tmp_path / "disk"


@pytest.fixture
def key(client: LiveClient, tmp_path: Path) -> str:
    client.good("key", "create", str(tmp_path / "key.json"), "--kdf", "none")
    return str(tmp_path / "key.json")


def stored_bytes(server: LiveServer, group: str) -> bytes:
    """All that the server has of a group: its files, and the chunks of the whole store."""
    files = [path for path in (server.store_path / "host" / group).rglob("*") if path.is_file()]
    files += [path for folder in (server.store_path / ".chunks").iterdir() if folder.is_dir() for path in folder.iterdir()]
    return b"".join(path.read_bytes() for path in files)


def test_encrypted_data_is_unreadable_without_the_key(
    client: LiveClient, server: LiveServer, image: Path, key: str, tmp_path: Path
) -> None:
    words = ("backup", f"disk.img:{image}", f"secret.conf:{image}", "--backup-id", "encrypted", "--keyfile", key, "--output", "json")
    for hour in range(2):
        report = client.good(*words, "--backup-time", str(1_700_000_000 + 3600 * hour)).json
    assert [file["crypt-mode"] for file in report["files"]] == ["encrypt", "encrypt"]
    assert report["files"][0]["uploaded-chunks"] == 0, "the second backup with the same key sends nothing again"
    assert MARK not in stored_bytes(server, "encrypted")
    for archive in ("disk.img", "secret.conf"):
        assert client.good("restore", "host/encrypted", archive, "-", "--keyfile", key).raw == CONTENT
        refused = client("restore", "host/encrypted", archive, str(tmp_path / "back"))
        assert refused.status == 3
        assert "is encrypted with the key" in refused.error
        assert not (tmp_path / "back").exists()


def test_another_key_is_refused(client: LiveClient, image: Path, key: str, tmp_path: Path) -> None:
    client.good("backup", f"disk.img:{image}", "--backup-id", "two-keys", "--keyfile", key, "--backup-time", "1700000000")
    client.good("key", "create", str(tmp_path / "other.json"), "--kdf", "none")
    refused = client("restore", "host/two-keys", "disk.img", "-", "--keyfile", str(tmp_path / "other.json"))
    assert refused.status == 3
    assert "the key given is" in refused.error
    again = client.good(
        "backup", f"disk.img:{image}", "--backup-id", "two-keys", "--keyfile", str(tmp_path / "other.json"), "--output", "json"
    )
    assert "warning: the previous snapshot is not used" in again.err
    assert again.json["files"][0]["uploaded-chunks"] == 2


def test_a_snapshot_that_is_not_signed_with_the_key_is_said_to_be_so(client: LiveClient, image: Path, key: str) -> None:
    client.good("backup", f"disk.img:{image}", "--backup-id", "plain")
    assert "is not signed with the key" in client.good("restore", "host/plain", "disk.img", "-", "--keyfile", key).err
    assert client.good("restore", "host/plain", "disk.img", "-").err == ""


def test_the_catalog_of_an_encrypted_tree(client: LiveClient, tmp_path: Path, key: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a\x1b[31m").write_text("x")
    client.good("backup", f"t.pxar:{tmp_path / 'tree'}", "--backup-id", "catalog", "--keyfile", key)
    shown = client.good("catalog", "dump", "host/catalog", "--keyfile", key).raw.decode()
    assert "a\\x1b[31m" in shown
    assert len(client.good("catalog", "dump", "host/catalog", "--keyfile", key, "--output", "json").json) == len(shown.splitlines())
    assert client("catalog", "dump", "host/catalog").status == 3


def test_a_key_with_a_passphrase(client: LiveClient, image: Path, tmp_path: Path) -> None:
    key = str(tmp_path / "locked.json")
    client.good("key", "create", key, "--kdf", "pbkdf2", "--hint", "the usual", PBS_NEW_ENCRYPTION_PASSWORD="a passphrase")
    words = ("backup", f"disk.img:{image}", "--backup-id", "locked", "--keyfile", key)
    assert client(*words).status == 3
    assert "the usual" in client(*words, PBS_ENCRYPTION_PASSWORD="wrong one").error
    client.good(*words, PBS_ENCRYPTION_PASSWORD="a passphrase")
    (tmp_path / "pass").write_text("a passphrase\nsecond line\n")
    restored = client.good("restore", "host/locked", "disk.img", "-", "--keyfile", key, PBS_ENCRYPTION_PASSWORD_FILE=str(tmp_path / "pass"))
    assert restored.raw == CONTENT


def test_sign_only_leaves_data_readable_and_notices_changes(client: LiveClient, server: LiveServer, image: Path, key: str) -> None:
    client.good(
        "backup", f"disk.img:{image}", "--backup-id", "signed", "--keyfile", key, "--crypt-mode", "sign-only", "--backup-time", "1700000000"
    )
    assert client.good("restore", "host/signed", "disk.img", "-").raw == CONTENT
    assert client.good("restore", "host/signed", "disk.img", "-", "--keyfile", key).raw == CONTENT
    other = random.Random(4).randbytes(len(CONTENT))
    image.write_bytes(other)
    client.good("backup", f"disk.img:{image}", "--backup-id", "forged", "--backup-time", "1700000000")
    signed, forged = (server.store_path / "host" / name / "2023-11-14T22:13:20Z" for name in ("signed", "forged"))
    (signed / "disk.img.fidx").write_bytes((forged / "disk.img.fidx").read_bytes())
    for options in ((), ("--keyfile", key)):
        refused = client("restore", "host/signed", "disk.img", "-", *options)
        assert (refused.status, refused.raw) == (6, b"")
        assert "not the index that the manifest names" in refused.error


def test_a_master_key_brings_a_lost_key_back(client: LiveClient, image: Path, key: str, tmp_path: Path) -> None:
    client.good("key", "create-master-key", str(tmp_path), PBS_NEW_ENCRYPTION_PASSWORD="master passphrase")
    words = ("backup", f"disk.img:{image}", "--backup-id", "mastered", "--keyfile", key)
    client.good(*words, "--master-pubkey-file", str(tmp_path / "master-public.pem"))
    Path(key).unlink()
    client.good("restore", "host/mastered", "rsa-encrypted.key", str(tmp_path / "wrapped"))
    client.good(
        *("key", "import-with-master-key", str(tmp_path / "wrapped"), str(tmp_path / "master-private.pem"), str(tmp_path / "back.json")),
        *("--kdf", "none"),
        PBS_MASTER_PASSWORD="master passphrase",
    )
    assert client.good("restore", "host/mastered", "disk.img", "-", "--keyfile", str(tmp_path / "back.json")).raw == CONTENT


def test_the_default_key_encrypts_without_being_named(client: LiveClient, image: Path) -> None:
    client.good("key", "create", "--kdf", "none")
    assert (client.home / ".config" / "proxmox-backup" / "encryption-key.json").stat().st_mode & 0o777 == 0o600
    report = client.good("backup", f"disk.img:{image}", "--backup-id", "default-key", "--output", "json").json
    assert report["files"][0]["crypt-mode"] == "encrypt"
    assert client.good("restore", "host/default-key", "disk.img", "-").raw == CONTENT
