"""A server that answers with other bytes than were stored: nothing of it reaches a target."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit.memory_site import BLOCK, MemorySite
from platevault.client.encryption import Encryption, MissingKey, OtherKey
from platevault.client.reader import CorruptChunk
from platevault.errors import Corrupt, PlatevaultError
from platevault.formats import blob, fixed_index, manifest
from platevault.formats.keys import CryptKey
from platevault.formats.manifest import CryptMode, Manifest
from platevault.formats.names import MANIFEST_NAME

KEY, STRANGER = CryptKey(bytes(range(32))), CryptKey(bytes(32))
NOISE = random.Random(5).randbytes(BLOCK)
MODES = [Encryption(), Encryption(CryptMode.SIGN_ONLY, KEY), Encryption(CryptMode.ENCRYPT, KEY)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "disk").write_bytes(NOISE + b"text " * 100_000)
    return tmp_path / "disk"


def change_manifest(site: MemorySite, change: Callable[[Manifest], Manifest]) -> None:
    site.change_file(MANIFEST_NAME, lambda raw: manifest.encode_blob(change(manifest.decode_blob(raw))))


def refused(site: MemorySite, target: Path, *, key: CryptKey | None, archive: str = "disk.img") -> PlatevaultError:
    """The error of a restore; the target's folder must be as it was."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(PlatevaultError) as caught:
        site.restore(archive, target, key=key)
    assert sorted(target.parent.iterdir()) == before
    return caught.value


def flip(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.mode.value)
def test_a_damaged_chunk(site: MemorySite, tmp_path: Path, image: Path, mode: Encryption) -> None:
    site.back_up([f"disk.img:{image}"], encryption=mode)
    digest = site.last.uploads[-1]
    site.server.store.chunks[digest] = flip(site.server.store.chunks[digest])
    assert isinstance(refused(site, tmp_path / "back", key=mode.key), Corrupt)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.mode.value)
def test_another_chunk_in_the_place_of_the_right_one(site: MemorySite, tmp_path: Path, image: Path, mode: Encryption) -> None:
    """Its CRC is right, so only the digest can tell."""
    site.back_up([f"disk.img:{image}"], encryption=mode)
    first, second = site.last.uploads
    site.server.store.chunks[first] = site.server.store.chunks[second]
    assert isinstance(refused(site, tmp_path / "back", key=mode.key), Corrupt)
    other = blob.encode(bytes(BLOCK - 1) + b"x", key=mode.data_key)
    site.server.store.chunks[first] = site.server.store.chunks[second] = other
    error = refused(site, tmp_path / "back", key=mode.key)
    assert isinstance(error, Corrupt)


def test_a_chunk_of_the_right_length_and_wrong_content(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"])
    digest = hashlib.sha256(NOISE).hexdigest()
    site.server.store.chunks[digest] = blob.encode(NOISE[:-1] + b"x")
    error = refused(site, tmp_path / "back", key=None)
    assert isinstance(error, CorruptChunk)
    assert error.digest == digest


def test_a_plain_chunk_in_an_encrypted_archive_and_the_other_way_round(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"], encryption=MODES[2])
    digest = site.last.uploads[0]
    site.server.store.chunks[digest] = blob.encode(NOISE)
    assert "is not encrypted" in str(refused(site, tmp_path / "back", key=KEY))
    site.back_up([f"disk.img:{image}"], 1)
    site.server.store.chunks[hashlib.sha256(NOISE).hexdigest()] = blob.encode(NOISE, key=KEY)
    with pytest.raises(Corrupt, match="is not plain"):
        site.restore("disk.img", None, 1, key=KEY)


def test_a_chunk_that_unfolds_into_too_much_costs_no_memory(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"])
    site.server.store.chunks[hashlib.sha256(NOISE).hexdigest()] = blob.encode(bytes(blob.MAX_DATA_BYTES))
    assert isinstance(refused(site, tmp_path / "back", key=None), Corrupt)


def test_an_answer_beyond_the_largest_chunk_is_cut_off(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"])
    site.server.store.chunks[hashlib.sha256(NOISE).hexdigest()] = bytes(blob.MAX_BLOB_BYTES + 1)
    assert "larger than" in str(refused(site, tmp_path / "back", key=None))


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1] + b"x", lambda raw: raw[:-32], lambda raw: raw + bytes(32), lambda raw: b"", lambda raw: bytes(len(raw))],
)
def test_a_damaged_index(site: MemorySite, tmp_path: Path, image: Path, change: Callable[[bytes], bytes]) -> None:
    site.back_up([f"disk.img:{image}"])
    site.change_file("disk.img.fidx", change)
    assert isinstance(refused(site, tmp_path / "back", key=None), PlatevaultError)


def test_another_index_with_a_right_checksum_of_its_own(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"])

    def swap(raw: bytes) -> bytes:
        index = fixed_index.decode(raw)
        return fixed_index.encode(replace(index, digests=index.digests[::-1].copy()))

    site.change_file("disk.img.fidx", swap)
    error = refused(site, tmp_path / "back", key=None)
    assert isinstance(error, Corrupt)
    assert "not the index that the manifest names" in str(error)


def test_another_blob(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"vm.conf:{image}"])
    site.change_file("vm.conf.blob", lambda _: blob.encode(b"other"))
    assert "not the file that the manifest names" in str(refused(site, tmp_path / "back", key=None, archive="vm.conf"))


@pytest.mark.parametrize("mode", MODES[1:], ids=lambda mode: mode.mode.value)
def test_a_manifest_that_was_changed(site: MemorySite, tmp_path: Path, image: Path, mode: Encryption) -> None:
    site.back_up([f"disk.img:{image}"], encryption=mode)
    change_manifest(site, lambda found: replace(found, files=(replace(found.files[0], csum="00" * 32),)))
    error = refused(site, tmp_path / "back", key=KEY)
    assert isinstance(error, Corrupt)
    assert "signature" in str(error)


def test_a_manifest_signed_by_somebody_else(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}"], encryption=MODES[1])
    change_manifest(site, lambda found: found.signed(STRANGER))
    assert isinstance(refused(site, tmp_path / "back", key=KEY), OtherKey)
    change_manifest(site, lambda found: replace(found, unprotected={}))
    assert isinstance(refused(site, tmp_path / "back", key=KEY), Corrupt)


def test_a_signed_manifest_of_another_snapshot(site: MemorySite, tmp_path: Path, image: Path) -> None:
    for number in range(2):
        site.back_up([f"disk.img:{image}"], number, MODES[1])
    site.server.store.snapshots[str(site.name(1))] = site.server.store.snapshots[str(site.name(0))]
    with pytest.raises(Corrupt, match="instead of"):
        site.open(1, KEY)
    with site.open(0, KEY) as reader:
        assert reader.is_signed


def test_a_manifest_without_signature_is_read_but_said_to_be_unsigned(site: MemorySite, image: Path) -> None:
    site.back_up([f"disk.img:{image}"])
    with site.open(key=KEY) as reader:
        assert not reader.is_signed
        assert reader.manifest.files


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense", blob.encode(b"{}"), blob.encode(b"{}", key=KEY), blob.encode(bytes(5_000_000))],
    ids=["nothing", "nonsense", "an empty object", "encrypted", "too large"],  # an encrypted blob differs in each worker
)
def test_a_manifest_that_is_none(site: MemorySite, tmp_path: Path, image: Path, raw: bytes) -> None:
    site.back_up([f"disk.img:{image}"])
    site.change_file(MANIFEST_NAME, lambda _: raw)
    assert isinstance(refused(site, tmp_path / "back", key=None), Corrupt)


def test_without_the_key_nothing_is_readable_and_the_error_names_it(site: MemorySite, tmp_path: Path, image: Path) -> None:
    site.back_up([f"disk.img:{image}", f"vm.conf:{image}"], encryption=MODES[2])
    for archive in ("disk.img", "vm.conf"):
        error = refused(site, tmp_path / "back", key=None, archive=archive)
        assert isinstance(error, MissingKey)
        assert KEY.fingerprint_text[:23] in str(error)
        assert isinstance(refused(site, tmp_path / "back", key=STRANGER, archive=archive), OtherKey)
    assert site.restore("index.json", None).startswith(b"{"), "the manifest itself is readable"
