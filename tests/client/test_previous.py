"""What of the previous snapshot is used. Nothing wrong with it makes a backup fail; it only makes it larger."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit.memory_site import BLOCK, MemorySite
from kit.scripted_connection import ScriptedConnection
from platevault.client.encryption import PLAIN, Encryption
from platevault.client.previous import Previous, max_index_bytes
from platevault.client.session import Session
from platevault.errors import Unavailable
from platevault.formats import blob, manifest
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode, ManifestFile
from platevault.formats.names import MANIFEST_NAME

KEY, OTHER = CryptKey(bytes(range(32))), CryptKey(bytes(32))
SIGNED, ENCRYPTED = Encryption(CryptMode.SIGN_ONLY, KEY), Encryption(CryptMode.ENCRYPT, KEY)
FOREIGN = Encryption(CryptMode.ENCRYPT, OTHER)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "disk").write_bytes(random.Random(1).randbytes(3 * BLOCK))
    return f"disk.img:{tmp_path / 'disk'}"


@pytest.mark.parametrize(
    ("before", "now", "sent"),
    [
        (PLAIN, PLAIN, 0),
        (PLAIN, SIGNED, 0),
        (SIGNED, PLAIN, 0),
        (SIGNED, SIGNED, 0),
        (ENCRYPTED, ENCRYPTED, 0),
        (PLAIN, ENCRYPTED, 3),
        (ENCRYPTED, PLAIN, 3),
        (SIGNED, ENCRYPTED, 3),
        (ENCRYPTED, FOREIGN, 3),
    ],
)
def test_what_may_be_reused_under_which_key(site: MemorySite, spec: str, before: Encryption, now: Encryption, sent: int) -> None:
    site.back_up([spec], 0, before)
    site.back_up([spec], 1, now)
    assert len(site.last.uploads) == sent
    told = [text for text in site.warnings if "the previous snapshot is not used" in text]
    assert len(told) == (now is FOREIGN)
    content = Path(spec.partition(":")[2]).read_bytes()
    assert site.restore("disk.img", None, 1, key=now.key) == content


def test_an_archive_that_is_new_is_sent_and_nobody_is_warned(site: MemorySite, spec: str) -> None:
    site.back_up([spec])
    site.back_up([spec.replace("disk.img", "other.img")], 1)
    assert len(site.last.uploads) == 3
    assert site.warnings == []


LIES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (MANIFEST_NAME, lambda raw: b"", "the previous snapshot is not used"),
    (MANIFEST_NAME, lambda raw: blob.encode(b"{}"), "the previous snapshot is not used"),
    (MANIFEST_NAME, lambda raw: blob.encode(b"{}", key=OTHER), "the previous snapshot is not used"),
    ("disk.img.fidx", lambda raw: raw[:-1] + b"x", "all of disk.img.fidx is sent"),
    ("disk.img.fidx", lambda raw: raw[:-32], "all of disk.img.fidx is sent"),
    ("disk.img.fidx", lambda raw: raw + bytes(10_000), "all of disk.img.fidx is sent"),
    ("disk.img.fidx", lambda raw: raw[:4096] + raw[4096 + 32 :] + raw[4096 : 4096 + 32], "all of disk.img.fidx is sent"),
]


@pytest.mark.parametrize(("name", "change", "told"), LIES)
def test_a_damaged_previous_snapshot_costs_a_full_backup(
    site: MemorySite, spec: str, name: str, change: Callable[[bytes], bytes], told: str
) -> None:
    site.back_up([spec])
    site.change_file(name, change)
    session = site.open_backup(1)
    before = Previous(session, PLAIN, site.warnings.append)
    assert (before.manifest is None) == (name == MANIFEST_NAME)
    session.close()
    if name == MANIFEST_NAME:
        assert told in site.warnings[-1]
    else:
        site.back_up([spec], 1)
        assert len(site.last.uploads) == 3
        assert told in site.warnings[-1]


def test_a_manifest_that_was_changed_after_it_was_signed_is_not_built_on(site: MemorySite, spec: str) -> None:
    site.back_up([spec], 0, SIGNED)

    def change(raw: bytes) -> bytes:
        found = manifest.decode_blob(raw)
        return manifest.encode_blob(replace(found, backup_id="other"))

    site.change_file(MANIFEST_NAME, change)
    session = site.open_backup(1)
    assert Previous(session, SIGNED, site.warnings.append).manifest is None
    assert "signature" in site.warnings[-1]
    session.close()


def test_no_previous_snapshot_is_no_warning() -> None:
    warnings: list[str] = []
    connection = ScriptedConnection({"GET /previous_backup_time": None})
    assert Previous(Session(connection), PLAIN, warnings.append).manifest is None
    assert (warnings, len(connection.sent)) == ([], 1)


def test_an_old_server_that_cannot_say_is_asked_for_the_manifest() -> None:
    warnings: list[str] = []
    connection = ScriptedConnection({"GET /previous": blob.encode(b"not a manifest"), "GET /previous_backup_time": b"nonsense"})
    assert Previous(Session(connection), PLAIN, warnings.append).manifest is None
    assert [sent.path for sent in connection.sent] == ["/previous_backup_time", "/previous"]


def test_a_lost_connection_is_no_reason_to_go_on() -> None:
    connection = ScriptedConnection()
    session = Session(connection)
    connection.automatic["GET /previous_backup_time"] = 5
    lost = ScriptedConnection.request

    def drop(*args: object, **options: object) -> object:
        pending = lost(connection, *args, **options)  # type: ignore[arg-type]
        connection.close()
        return pending

    connection.request = drop  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        Previous(session, PLAIN, print)


def test_an_index_is_believed_up_to_a_length_that_fits_its_size() -> None:
    fixed = ManifestFile("disk.img.fidx", 3 * BLOCK + 1, "00" * 32, CryptMode.NONE)
    assert max_index_bytes(fixed) == 4096 + 4 * 32
    dynamic = ManifestFile("root.pxar.didx", 10**9, "00" * 32, CryptMode.NONE)
    assert 4096 + 40 * (10**9 // 65536) < max_index_bytes(dynamic) < 10**9 // 50
