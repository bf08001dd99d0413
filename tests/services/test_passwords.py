"""Passwords: ours and those of an imported server; no text is an error, and nothing tells who has an account."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kit.identities import Identities
from platevault.config.secrets import PASSWORD
from platevault.errors import Invalid
from platevault.services import passwords as passwords_module
from platevault.services.passwords import Passwords, RealmUnavailable, crypt_matches

CONFIG = Path(__file__).parents[1] / "vectors" / "rest" / "config"
IDENTITY = Path(__file__).parents[1] / "vectors" / "identity"
RECORDED = json.loads((CONFIG / "secrets.json").read_text())
HASHES: dict[str, str] = json.loads((CONFIG / "shadow.json").read_text())
TOKEN_HASHES: dict[str, str] = json.loads((IDENTITY / "token.shadow").read_text())


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    identities = Identities(tmp_path_factory.mktemp("passwords"))
    yield identities
    identities.close()


@pytest.fixture
def passwords(identities: Identities) -> Passwords:
    return identities.auth.passwords


def test_the_right_one_fits(passwords: Passwords) -> None:
    passwords.set("alice@pbs", "correct horse ä€")
    assert passwords.verify("alice@pbs", "correct horse ä€")
    for wrong in ("correct horse", "Correct horse ä€", "correct horse ä€ ", "", "x" * 2000):
        assert not passwords.verify("alice@pbs", wrong)
    assert not passwords.verify("bob@pbs", "correct horse ä€")
    passwords.forget("alice@pbs")
    assert not passwords.verify("alice@pbs", "correct horse ä€")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 65, "half a \ud800 character", "with NUL \0 in it"])
def test_what_is_no_password(passwords: Passwords, password: str) -> None:
    with pytest.raises(Invalid):
        passwords.set("alice@pbs", password)
    assert not passwords.verify("alice@pbs", password)


@pytest.mark.parametrize("password", ["12345678", "x" * 64])
def test_lengths(passwords: Passwords, password: str) -> None:
    passwords.set("carol@pbs", password)
    assert passwords.verify("carol@pbs", password)


def test_other_realms_are_not_kept_here(passwords: Passwords) -> None:
    with pytest.raises(Invalid, match="pam"):
        passwords.set("root@pam", "correct horse")


def test_nobody_s_password_takes_as_long(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in hashes, which is all that takes time."""
    passwords.set("dave@pbs", "correct horse")
    hashed: list[str] = []
    hasher = passwords._hasher

    def verify(stored: str, password: str) -> bool:
        hashed.append(password)
        return hasher.verify(stored, password)

    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(verify=verify))
    for act in (
        lambda: passwords.verify("dave@pbs", "wrong password"),
        lambda: passwords.verify("nobody@pbs", "wrong password"),
        lambda: passwords.verify("somebody@realm", "wrong password"),
        lambda: passwords.waste_time("wrong password"),
    ):
        hashed.clear()
        act()
        assert hashed == ["wrong password"]


class TestImported:
    """Hashes of a real server, which the C library's crypt made."""

    @pytest.mark.parametrize("name", HASHES)
    def test_passwords(self, identities: Identities, passwords: Passwords, name: str) -> None:
        user_id = f"{name}@pbs"
        password = RECORDED["passwords"][user_id]
        identities.secrets.set(PASSWORD, user_id, HASHES[name].encode())
        assert not passwords.verify(user_id, password + "x")
        assert identities.secrets.get(PASSWORD, user_id) == HASHES[name].encode()
        assert passwords.verify(user_id, password)
        replaced = identities.secrets.get(PASSWORD, user_id)
        assert replaced is not None
        assert replaced.startswith(b"$argon2id$")
        assert passwords.verify(user_id, password)

    @pytest.mark.parametrize("tokenid", TOKEN_HASHES)
    def test_token_secrets(self, tokenid: str) -> None:
        assert crypt_matches(RECORDED["tokens"][tokenid], TOKEN_HASHES[tokenid])

    @pytest.mark.parametrize("stored", ["$y$broken", "$5$", "$9$x$y", "$", "no hash", "\ufffd"])
    def test_what_is_no_hash_fits_nothing(self, identities: Identities, passwords: Passwords, stored: str) -> None:
        identities.secrets.set(PASSWORD, "erin@pbs", stored.encode())
        assert not passwords.verify("erin@pbs", "correct horse")

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
        with pytest.raises(RealmUnavailable, match="libcrypt"):
            crypt_matches("x", "$5$x$y")


class TestMachine:
    """Realm `pam` asks the machine."""

    def test_with_its_package(self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[Any, ...]] = []

        class Pam:
            def authenticate(self, name: str, password: str, service: str) -> bool:
                asked.append((name, password, service))
                return password == "right"

        monkeypatch.setitem(sys.modules, "pam", SimpleNamespace(pam=Pam))
        assert passwords.verify("root@pam", "right")
        assert not passwords.verify("root@pam", "wrong")
        assert asked == [("root", "right", "login"), ("root", "wrong", "login")]

    def test_without_it(self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pam", None)
        with pytest.raises(RealmUnavailable, match="python-pam"):
            passwords.verify("root@pam", "correct horse")


def test_few_hashes_run_at_a_time() -> None:
    """One takes 64 MiB, and anybody who reaches the port can ask for it."""
    assert passwords_module.HASHES_AT_ONCE <= 8
