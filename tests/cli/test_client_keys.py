"""`platevault key …`: key files that proxmox-backup-client wrote are read, and what we write is what it writes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from kit.client_commands import ClientCommands
from platevault.formats import key_file, master_key

KEYS = Path(__file__).parents[1] / "vectors" / "store-small" / "keys"
PASSPHRASES = {"key-scrypt.json": "fixture-scrypt-pw", "key-pbkdf2.json": "fixture-pbkdf2-pw"}
NEW = {"PBS_NEW_ENCRYPTION_PASSWORD": "a new passphrase"}


@pytest.fixture
def client(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> ClientCommands:
    return ClientCommands(tmp_path / "home", capsysbinary)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2", "none"])
def test_create_and_show(client: ClientCommands, tmp_path: Path, kdf: str) -> None:
    path = tmp_path / "folder" / "key.json"
    outcome = client.good("key", "create", str(path), "--kdf", kdf, "--hint", "the usual", **({} if kdf == "none" else NEW))
    assert "keep a copy" in outcome.err
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    shown = client.good("key", "show", str(path), "--output", "json").json
    assert (shown["kdf"], shown["hint"], shown["path"]) == (kdf, "the usual", str(path))
    key = key_file.parse(path.read_bytes()).unlock(None if kdf == "none" else NEW["PBS_NEW_ENCRYPTION_PASSWORD"].encode())
    assert shown["fingerprint"] == key.fingerprint_text
    assert f"fingerprint: {key.fingerprint_text}" in client.good("key", "show", str(path)).raw.decode()


def test_the_file_has_the_form_of_the_existing_client(client: ClientCommands, tmp_path: Path) -> None:
    client.good("key", "create", str(tmp_path / "key.json"), "--kdf", "scrypt", **NEW)
    ours, theirs = (json.loads(path.read_bytes()) for path in (tmp_path / "key.json", KEYS / "key-scrypt.json"))
    assert list(ours) == [name for name in theirs if name != "hint"]
    assert list(ours["kdf"]["Scrypt"]) == list(theirs["kdf"]["Scrypt"])
    assert {name: ours["kdf"]["Scrypt"][name] for name in "nrp"} == {name: theirs["kdf"]["Scrypt"][name] for name in "nrp"}
    assert len(ours["created"]) in (20, 25)


def test_a_key_is_never_written_over_another_file(client: ClientCommands, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("precious")
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    for place in ("key.json", "link.json"):
        outcome = client("key", "create", str(tmp_path / place), "--kdf", "none")
        assert (outcome.status, "never written over" in outcome.error) == (5, True)
    assert (tmp_path / "key.json").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_the_default_place_is_that_of_the_existing_client(client: ClientCommands) -> None:
    client.good("key", "create", "--kdf", "none")
    place = client.home / ".config" / "proxmox-backup" / "encryption-key.json"
    assert mode(place) == 0o600
    assert client.good("key", "show", "--output", "json").json["path"] == str(place)
    other = client.home / "xdg"
    assert client("key", "show", XDG_CONFIG_HOME=str(other)).status == 4
    client.good("key", "create", "--kdf", "none", XDG_CONFIG_HOME=str(other))
    assert (other / "proxmox-backup" / "encryption-key.json").exists()


@pytest.mark.parametrize("name", ["key-none.json", *PASSPHRASES])
def test_show_reads_keys_of_the_existing_client_without_a_passphrase(client: ClientCommands, name: str) -> None:
    stored = json.loads((KEYS / name).read_bytes())
    shown = client.good("key", "show", str(KEYS / name), "--output", "json").json
    assert shown["fingerprint"] == stored["fingerprint"]
    assert (shown["created"], shown["modified"]) == (stored["created"], stored["modified"])


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2", "none"])
@pytest.mark.parametrize("name", list(PASSPHRASES))
def test_another_passphrase_for_the_same_key(client: ClientCommands, tmp_path: Path, name: str, kdf: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes((KEYS / name).read_bytes())
    before = json.loads(path.read_bytes())
    old = {"PBS_ENCRYPTION_PASSWORD": PASSPHRASES[name]}
    client.good("key", "change-passphrase", str(path), "--kdf", kdf, **old, **({} if kdf == "none" else NEW))
    after = json.loads(path.read_bytes())
    assert (after["fingerprint"], after["created"]) == (before["fingerprint"], before["created"])
    assert after["modified"] != before["modified"]
    assert mode(path) == 0o600
    key = key_file.parse(path.read_bytes()).unlock(None if kdf == "none" else b"a new passphrase")
    assert key.fingerprint_text == before["fingerprint"]
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["key.json"]


@pytest.mark.parametrize(
    ("environment", "status", "text"),
    [
        ({"PBS_ENCRYPTION_PASSWORD": "wrong passphrase"}, 6, "wrong passphrase for the key (hint: the usual one)"),
        ({"PBS_ENCRYPTION_PASSWORD": "abc"}, 2, "too short"),
        ({}, 3, "PBS_ENCRYPTION_PASSWORD"),
    ],
)
def test_a_passphrase_that_does_not_open_the_key_changes_nothing(
    client: ClientCommands, tmp_path: Path, environment: dict[str, str], status: int, text: str
) -> None:
    path = tmp_path / "key.json"
    path.write_bytes((KEYS / "key-scrypt.json").read_bytes())
    outcome = client("key", "change-passphrase", str(path), **environment, **NEW)
    assert (outcome.status, text in outcome.error) == (status, True)
    assert path.read_bytes() == (KEYS / "key-scrypt.json").read_bytes()


def test_a_new_passphrase_that_is_too_short_writes_nothing(client: ClientCommands, tmp_path: Path) -> None:
    for words in (("create", str(tmp_path / "key.json")), ("create-master-key", str(tmp_path))):
        assert client("key", *words, PBS_NEW_ENCRYPTION_PASSWORD="abcd").status == 2
    assert "no terminal" in client("key", "create", str(tmp_path / "key.json")).error
    assert "expected scrypt, pbkdf2 or none" in client("key", "create", str(tmp_path / "key.json"), "--kdf", "md5", **NEW).error
    assert [entry for entry in tmp_path.iterdir() if entry.is_file()] == []


@pytest.mark.parametrize("command", ["export-paper", "paperkey"])
def test_a_printed_key_is_read_again(client: ClientCommands, tmp_path: Path, command: str) -> None:
    printed = client.good("key", command, str(KEYS / "key-scrypt.json"), "--subject", "the safe").raw.decode()
    lines = printed.splitlines()
    assert lines[0] == "Subject: the safe"
    assert lines[2] == "-----BEGIN PROXMOX BACKUP KEY-----"
    assert lines[-1] == "-----END PROXMOX BACKUP KEY-----"
    (tmp_path / "typed").write_text("scanned on a Monday\n" + printed + "\n")
    client.good("key", "import", str(tmp_path / "typed"), str(tmp_path / "key.json"))
    assert mode(tmp_path / "key.json") == 0o600
    assert json.loads((tmp_path / "key.json").read_bytes()) == json.loads((KEYS / "key-scrypt.json").read_bytes())


@pytest.mark.parametrize("raw", [b"", b"{}", b"not a key", b"\xff" * 100, b"-----BEGIN PROXMOX BACKUP KEY-----\n{}", b"x" * 100_000])
def test_what_is_no_key_is_not_imported(client: ClientCommands, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "source").write_bytes(raw)
    outcome = client("key", "import", str(tmp_path / "source"), str(tmp_path / "key.json"))
    assert outcome.status == 6
    assert "key file" in outcome.error
    assert not (tmp_path / "key.json").exists()
    assert client("key", "import", str(tmp_path / "missing"), str(tmp_path / "key.json")).status == 4


def test_a_new_master_key_wraps_and_unwraps(client: ClientCommands, tmp_path: Path) -> None:
    client.good("key", "create-master-key", str(tmp_path), **NEW)
    private, public = tmp_path / "master-private.pem", tmp_path / "master-public.pem"
    assert (mode(private), mode(public)) == (0o600, 0o600)
    assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert client("key", "create-master-key", str(tmp_path), **NEW).status == 5
    file = key_file.parse((KEYS / "key-none.json").read_bytes())
    (tmp_path / "wrapped").write_bytes(master_key.wrap(file.unlock(), file, master_key.load_public(public.read_bytes()), now=0))
    words = ("key", "import-with-master-key", str(tmp_path / "wrapped"), str(private), str(tmp_path / "back.json"), "--kdf", "none")
    client.good(*words, PBS_MASTER_PASSWORD=NEW["PBS_NEW_ENCRYPTION_PASSWORD"])
    assert key_file.parse((tmp_path / "back.json").read_bytes()).unlock().raw == file.unlock().raw
    assert mode(tmp_path / "back.json") == 0o600


def test_a_key_wrapped_by_the_existing_client_comes_back(client: ClientCommands, tmp_path: Path) -> None:
    """The private master key is one that proxmox-backup-client made, with its passphrase."""
    file = key_file.parse((KEYS / "key-pbkdf2.json").read_bytes())
    key = file.unlock(b"fixture-pbkdf2-pw")
    public = master_key.load_public((KEYS / "master-public.pem").read_bytes())
    (tmp_path / "wrapped").write_bytes(master_key.wrap(key, file, public, now=0))
    words = ("key", "import-with-master-key", str(tmp_path / "wrapped"), str(KEYS / "master-private.pem"), str(tmp_path / "back.json"))
    refused = client(*words, PBS_MASTER_PASSWORD="wrong passphrase", **NEW)
    assert refused.status != 0
    assert not (tmp_path / "back.json").exists()
    client.good(*words, PBS_MASTER_PASSWORD="fixture-master-pw", **NEW)
    again = key_file.parse((tmp_path / "back.json").read_bytes())
    assert again.unlock(b"a new passphrase").raw == key.raw
    assert again.created == file.created


def test_a_master_public_key_for_every_backup(client: ClientCommands, tmp_path: Path) -> None:
    client.good("key", "import-master-pubkey", str(KEYS / "master-public.pem"))
    assert (client.home / ".config" / "proxmox-backup" / "master-public.pem").read_bytes() == (KEYS / "master-public.pem").read_bytes()
    for bad in (KEYS / "key-none.json", KEYS / "master-private.pem"):
        assert client("key", "import-master-pubkey", str(bad), XDG_CONFIG_HOME=str(tmp_path / "other")).status != 0
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("way", ["_FD", "_FILE", "_CMD"])
def test_a_passphrase_from_elsewhere_is_read_once(client: ClientCommands, tmp_path: Path, way: str) -> None:
    """A descriptor can be read once only; a command may ask somebody, who should be asked once."""
    (tmp_path / "pass").write_text("fixture-scrypt-pw\n")
    (tmp_path / "key.json").write_bytes((KEYS / "key-scrypt.json").read_bytes())
    count = f"echo asked >> {tmp_path / 'count'}; cat {tmp_path / 'pass'}"
    value = {"_FD": str(os.open(tmp_path / "pass", os.O_RDONLY)), "_FILE": str(tmp_path / "pass"), "_CMD": count}[way]
    client.good("key", "change-passphrase", str(tmp_path / "key.json"), "--kdf", "none", **{f"PBS_ENCRYPTION_PASSWORD{way}": value})
    if way == "_CMD":
        assert (tmp_path / "count").read_text() == "asked\n"
