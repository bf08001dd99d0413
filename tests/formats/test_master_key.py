"""RSA master keys: a known wrapped key opens, what was wrapped opens again, everything else raises only our errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kit.fixture_store import KEYS
from platevault.errors import Invalid
from platevault.formats import blob, key_file, master_key
from platevault.formats.key_file import Kdf
from platevault.formats.keys import CryptKey
from platevault.formats.master_key import WrongMasterKey

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "keys.json").read_text())
RSA = VECTORS["rsa"]
KEY = CryptKey(bytes.fromhex(VECTORS["enc_key_hex"]))
NOON = 1_700_000_000.0
PASSPHRASE = b"fixture-master-pw"


def known_private() -> rsa.RSAPrivateKey:
    n, d, p, q = (int(RSA[f"{name}_hex"], 16) for name in "ndpq")
    exponents = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *exponents, rsa.RSAPublicNumbers(RSA["e"], n)).private_key()


def recorded_private() -> rsa.RSAPrivateKey:
    return master_key.load_private((KEYS / "master-private.pem").read_bytes(), PASSPHRASE)


def small(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def test_a_known_wrapped_key_opens() -> None:
    wrapped = blob.decode(bytes.fromhex(RSA["rsa_encrypted_key_blob_hex"]))
    assert wrapped.hex() == RSA["ciphertext_hex"]
    found = master_key.unwrap(wrapped, known_private())
    assert found.encode().decode() == RSA["plaintext_text"]
    assert found.unlock().raw == KEY.raw


def test_the_blob_has_the_known_form() -> None:
    assert blob.encode(bytes.fromhex(RSA["ciphertext_hex"]), compress=False).hex() == RSA["rsa_encrypted_key_blob_hex"]


def test_what_was_wrapped_opens() -> None:
    public = master_key.load_public((KEYS / "master-public.pem").read_bytes())
    source = key_file.create(KEY, Kdf.PBKDF2, b"passphrase", now=NOON, hint="a hint")
    wrapped = master_key.wrap(KEY, source, public, now=NOON + 5)
    found = master_key.unwrap(wrapped, recorded_private())
    assert len(wrapped) == 512
    assert found.unlock().raw == KEY.raw
    assert (found.created, found.modified, found.hint) == (source.created, "2023-11-14T22:13:25+00:00", "a hint")
    assert master_key.wrap(KEY, source, public, now=NOON) != wrapped


def test_a_key_without_a_file_is_wrapped_as_a_new_one() -> None:
    private = small(3072)
    wrapped = master_key.wrap(KEY, None, private.public_key(), now=NOON)
    found = master_key.unwrap(wrapped, private)
    assert len(found.encode()) == RSA["plaintext_length"]
    assert found.created == found.modified == "2023-11-14T22:13:20+00:00"


def test_a_master_key_must_have_room() -> None:
    with pytest.raises(Invalid, match="245"):
        master_key.wrap(KEY, None, small(2048).public_key(), now=NOON)


def test_the_wrong_master_key_opens_nothing() -> None:
    wrapped = blob.decode(bytes.fromhex(RSA["rsa_encrypted_key_blob_hex"]))
    with pytest.raises(WrongMasterKey):
        master_key.unwrap(wrapped, recorded_private())
    for damaged in (b"", wrapped[:-1], wrapped + b"\0", bytes(512), b"\xff" * 512):
        with pytest.raises(WrongMasterKey):
            master_key.unwrap(damaged, known_private())


@pytest.mark.parametrize("message", [b"", b"not a key file", b'{"kdf":null}'])
def test_something_else_that_was_encrypted_is_no_key(message: bytes) -> None:
    private = known_private()
    with pytest.raises(WrongMasterKey):
        master_key.unwrap(private.public_key().encrypt(message, padding.PKCS1v15()), private)


def test_a_key_that_is_locked_inside_stays_locked() -> None:
    """Nobody writes that, but a passphrase is then what is missing, not another master key."""
    private = known_private()
    locked = key_file.create(KEY, Kdf.PBKDF2, b"passphrase", now=NOON)
    found = master_key.unwrap(private.public_key().encrypt(locked.encode(), padding.PKCS1v15()), private)
    assert found.unlock(b"passphrase").raw == KEY.raw


def test_a_key_inside_must_fit_its_fingerprint() -> None:
    private = known_private()
    text = RSA["plaintext_text"].replace("0e:ab", "0f:ab").encode()
    with pytest.raises(key_file.CorruptKeyFile):
        master_key.unwrap(private.public_key().encrypt(text, padding.PKCS1v15()), private)


def test_a_new_pair_has_the_form_that_others_read() -> None:
    private_pem, public_pem = master_key.create_pair(PASSPHRASE)
    assert private_pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert public_pem.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    private = master_key.load_private(private_pem, PASSPHRASE)
    assert private.key_size == 4096
    assert private.public_key().public_numbers() == master_key.load_public(public_pem).public_numbers()
    with pytest.raises(Invalid):
        master_key.create_pair(b"")


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_a_private_key_needs_its_passphrase(passphrase: bytes | None) -> None:
    with pytest.raises(Invalid):
        master_key.load_private((KEYS / "master-private.pem").read_bytes(), passphrase)


@pytest.mark.parametrize("text", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff\0" * 50])
def test_these_are_no_keys(text: bytes) -> None:
    with pytest.raises(Invalid):
        master_key.load_public(text)
    with pytest.raises(Invalid):
        master_key.load_private(text, None)


def test_a_key_of_another_kind_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Invalid, match="RSA"):
        master_key.load_private(pem(curve), None)
    public = curve.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(Invalid, match="RSA"):
        master_key.load_public(public)


def test_an_unlocked_private_key_opens_without_passphrase() -> None:
    private = small(2048)
    assert master_key.load_private(pem(private), None).private_numbers() == private.private_numbers()
