"""Key files: known and recorded ones open, what was written is read back, other bytes raise only CorruptKeyFile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.fixture_store import KEYS
from platevault.errors import Invalid, Unavailable
from platevault.formats import key_file
from platevault.formats.key_file import CorruptKeyFile, Kdf, KeyFile, PassphraseNeeded, Pbkdf2, Scrypt
from platevault.formats.keys import CryptKey, WrongKey

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "keys.json").read_text())
UPSTREAM = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "manifest.json").read_text())["known_upstream"]
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["key_files"]}
KEY = CryptKey(bytes.fromhex(VECTORS["enc_key_hex"]))
NOON = 1_700_000_000.9


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_known_files(case: dict[str, Any]) -> None:
    text = case["file_text"].encode()
    found = key_file.parse(text)
    assert found.kind == case["name"]
    assert len(found.data) == case["data_length"]
    assert found.unlock(case["passphrase"].encode() if "passphrase" in case else None).raw == KEY.raw
    assert found.encode() == text


@pytest.mark.parametrize("case", [CASES["scrypt"], CASES["pbkdf2"]], ids=["scrypt", "pbkdf2"])
def test_known_derivations(case: dict[str, Any]) -> None:
    kdf = key_file.parse(case["file_text"].encode()).kdf
    assert kdf is not None
    assert kdf.salt.hex() == case["salt_hex"]
    assert kdf.derive(case["passphrase"].encode()).hex() == case["derived_key_hex"]


def test_a_salt_may_be_empty() -> None:
    assert Scrypt(b"").derive(UPSTREAM["passphrase"].encode()).hex() == UPSTREAM["enc_key_hex"]


@pytest.mark.parametrize(
    ("name", "passphrase", "hint"),
    [("none", None, None), ("scrypt", b"fixture-scrypt-pw", "the usual one"), ("pbkdf2", b"fixture-pbkdf2-pw", None)],
)
def test_recorded_files(name: str, passphrase: bytes | None, hint: str | None) -> None:
    """Written by the reference client; the fingerprint inside confirms the key."""
    text = (KEYS / f"key-{name}.json").read_bytes()
    found = key_file.parse(text)
    assert found.fingerprint == found.unlock(passphrase).fingerprint_text
    assert (found.hint, found.kind) == (hint, name)
    assert found.encode() == text.rstrip(b"\n")


@pytest.mark.parametrize("name", ["scrypt", "pbkdf2"])
def test_a_wrong_passphrase_is_told_with_the_hint(name: str) -> None:
    fields = json.loads(CASES[name]["file_text"])
    locked = key_file.parse(json.dumps({**fields, "hint": "horses"}).encode())
    with pytest.raises(WrongKey, match="horses"):
        locked.unlock(b"incorrect horse")
    with pytest.raises(PassphraseNeeded) as needed:
        locked.unlock()
    assert needed.value.hint == "horses"
    with pytest.raises(Invalid, match="too short"):
        locked.unlock(b"1234")


@pytest.mark.parametrize("kdf", list(Kdf))
def test_what_was_made_is_read_back(kdf: Kdf) -> None:
    passphrase = None if kdf is Kdf.NONE else "pässword".encode()
    made = key_file.create(KEY, kdf, passphrase, now=NOON, hint="ä hint")
    found = key_file.parse(made.encode())
    assert found == made
    assert found.unlock(passphrase).raw == KEY.raw
    assert (found.created, found.modified) == ("2023-11-14T22:13:20+00:00",) * 2
    assert (KEY.raw in found.data) == (kdf is Kdf.NONE)


def test_two_files_of_one_key_share_nothing() -> None:
    first, second = (key_file.create(KEY, Kdf.PBKDF2, b"passphrase", now=NOON) for _ in range(2))
    assert isinstance(first.kdf, Pbkdf2)
    assert isinstance(second.kdf, Pbkdf2)
    assert first.kdf.salt != second.kdf.salt
    assert first.data != second.data


def test_a_new_passphrase_leaves_the_key_and_its_age() -> None:
    old = key_file.create(KEY, Kdf.PBKDF2, b"old passphrase", now=NOON, hint="old")
    new = old.locked_again(old.unlock(b"old passphrase"), Kdf.PBKDF2, b"new passphrase", now=NOON + 100, hint="new")
    assert new.unlock(b"new passphrase").raw == KEY.raw
    assert (new.created, new.modified, new.hint) == (old.created, "2023-11-14T22:15:00+00:00", "new")
    with pytest.raises(WrongKey):
        new.unlock(b"old passphrase")


@pytest.mark.parametrize(
    ("kdf", "passphrase", "family"),
    [(Kdf.NONE, b"something", Invalid), (Kdf.SCRYPT, None, PassphraseNeeded), (Kdf.PBKDF2, b"four", Invalid), (Kdf.SCRYPT, b"", Invalid)],
)
def test_a_passphrase_must_be_of_use(kdf: Kdf, passphrase: bytes | None, family: type[Invalid]) -> None:
    with pytest.raises(family):
        key_file.create(KEY, kdf, passphrase, now=NOON)


def test_a_hint_must_be_text() -> None:
    with pytest.raises(Invalid, match="hint"):
        key_file.create(KEY, Kdf.NONE, now=NOON, hint="half a \ud800")


def test_a_key_that_does_not_fit_its_fingerprint_is_refused() -> None:
    fields = json.loads(CASES["none"]["file_text"])
    fields["fingerprint"] = fields["fingerprint"].replace("0e", "0f")
    with pytest.raises(CorruptKeyFile, match="fingerprint"):
        key_file.parse(json.dumps(fields).encode()).unlock()


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": None},
        {"fingerprint": VECTORS["fingerprint"].upper()},
        {"hint": None},
        {"created": "2023-11-14T22:13:20Z"},
        {"created": "2023-11-14T23:13:20+01:00"},
        {"more": {"from": ["the", "future"]}},
    ],
)
def test_what_others_write_is_read(changes: dict[str, Any]) -> None:
    fields = {**json.loads(CASES["none"]["file_text"]), **changes}
    for text in (json.dumps(fields), json.dumps(fields, indent=2) + "\n"):
        assert key_file.parse(text.encode()).unlock().raw == KEY.raw


def test_a_file_without_kdf_is_in_clear() -> None:
    fields = json.loads(CASES["none"]["file_text"])
    del fields["kdf"]
    assert key_file.parse(json.dumps(fields).encode()).kind is Kdf.NONE


SALT = "AAAA"
BAD_FIELDS: list[dict[str, Any]] = [
    {"kdf": "Scrypt"},
    {"kdf": {}},
    {"kdf": {"scrypt": {"n": 65536, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 65536, "r": 8, "p": 1}}},
    {"kdf": {"Scrypt": {"n": 65536, "r": 8, "p": 1, "salt": "?"}}},
    {"kdf": {"Scrypt": {"n": 0, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 65535, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 1, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 65536.0, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": True, "r": 8, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 2**24, "r": 2**24, "p": 1, "salt": SALT}}},
    {"kdf": {"Scrypt": {"n": 65536, "r": 8, "p": 2**16, "salt": SALT}}},
    {"kdf": {"PBKDF2": {"iter": 0, "salt": SALT}}},
    {"kdf": {"PBKDF2": {"iter": 2**31, "salt": SALT}}},
    {"kdf": {"PBKDF2": {"iter": "65535", "salt": SALT}}},
    {"kdf": {"PBKDF2": {"iter": 65535, "salt": SALT}, "Scrypt": {}}},
    {"data": None},
    {"data": ""},
    {"data": "AAAA"},
    {"data": "A" * 43},
    {"data": "-_-_" * 11},
    {"data": ["x"]},
    {"created": None},
    {"created": 1_700_000_000},
    {"created": "yesterday"},
    {"created": "2023-11-14"},
    {"created": "2023-11-14T22:13:20"},
    {"created": "2023-11-14\ud80022:13:20Z"},
    {"modified": "2023-13-14T22:13:20Z"},
    {"fingerprint": "0e:ab"},
    {"fingerprint": 7},
    {"hint": 7},
    {"hint": "half a \ud800"},
]


@pytest.mark.parametrize("changes", BAD_FIELDS, ids=lambda changes: ascii(changes)[:70])
def test_bad_fields_are_refused(changes: dict[str, Any]) -> None:
    fields = json.loads(CASES["none" if "kdf" not in changes else "scrypt"]["file_text"])
    with pytest.raises(CorruptKeyFile):
        key_file.parse(json.dumps({**fields, **changes}).encode())


@pytest.mark.parametrize("field", ["data", "created", "modified"])
def test_missing_fields_are_refused(field: str) -> None:
    fields = json.loads(CASES["none"]["file_text"])
    del fields[field]
    with pytest.raises(CorruptKeyFile):
        key_file.parse(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"7", b"{", b"\xff", b"[" * 30_000, b'{"data": ' + b"9" * 5000 + b"}", b" " * 70_000]
)
def test_these_are_no_key_files(text: bytes) -> None:
    with pytest.raises(CorruptKeyFile):
        key_file.parse(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**33) | st.floats() | st.text(max_size=8) | st.just("AAAA"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Scrypt", "PBKDF2", "n", "r", "p", "salt", "iter"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["kdf", "created", "modified", "data", "fingerprint", "hint"]), json_values), st.booleans())
def test_other_values_raise_only_our_error(changes: dict[str, Any], locked: bool) -> None:
    fields = {**json.loads(CASES["scrypt" if locked else "none"]["file_text"]), **changes}
    try:
        found = key_file.parse(json.dumps(fields).encode())
    except CorruptKeyFile:
        return
    assert key_file.parse(found.encode()) == found


@given(st.binary(max_size=100))
def test_other_bytes_raise_only_our_error(text: bytes) -> None:
    with pytest.raises(CorruptKeyFile):
        key_file.parse(text)


@given(st.integers(0, 63), st.integers(0, 7))
@settings(max_examples=10)
def test_a_damaged_key_does_not_open(position: int, bit: int) -> None:
    found = key_file.parse(CASES["pbkdf2"]["file_text"].encode())
    data = bytearray(found.data)
    data[position] ^= 1 << bit
    with pytest.raises(WrongKey):
        KeyFile(found.kdf, found.created, found.modified, bytes(data)).unlock(b"correct horse")


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("hashlib.scrypt", exhausted)
    with pytest.raises(Unavailable):
        key_file.parse(CASES["scrypt"]["file_text"].encode()).unlock(b"correct horse")
