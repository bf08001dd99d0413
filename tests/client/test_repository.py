from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.client.repository import InvalidRepository, Repository, parse
from platevault.errors import Invalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("store1", Repository("store1")),
        ("backup.example.net:store1", Repository("store1", "backup.example.net")),
        ("backup.example.net:8443:store1", Repository("store1", "backup.example.net", 8443)),
        ("192.0.2.7:store1", Repository("store1", "192.0.2.7")),
        ("[2001:db8::7]:store1", Repository("store1", "2001:db8::7")),
        ("[2001:db8::7]:8443:store1", Repository("store1", "2001:db8::7", 8443)),
        ("[fe80::1%eth0]:store1", Repository("store1", "fe80::1%eth0")),
        ("alice@pbs@host:store1", Repository("store1", "host", auth_id="alice@pbs")),
        ("alice@pbs!laptop@host:8443:store1", Repository("store1", "host", 8443, "alice@pbs!laptop")),
        ("alice@corp.example@ad@host:store1", Repository("store1", "host", auth_id="alice@corp.example@ad")),
        ("root@pam@[::1]:8007:s-1.x", Repository("s-1.x", "::1")),
        (" store1\n", Repository("store1")),
        ("my_host:store1", Repository("store1", "my_host")),
        ("host.:store1", Repository("store1", "host.")),
        ("8007:store1", Repository("store1", "8007")),
    ],
)
def test_all_known_forms(text: str, expected: Repository) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


def test_defaults_and_parts() -> None:
    plain, token = parse("store1"), parse("alice@pbs!laptop@[::1]:store1")
    assert str(plain) == "root@pam@localhost:8007:store1"
    assert (plain.is_token, token.is_token) == (False, True)
    assert token.server == "[::1]:8007"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host:",
        ":store1",
        "st",
        "x" * 33,
        "store/1",
        "-store",
        "host:port:store1",
        "host:0:store1",
        "host:65536:store1",
        "host:8007:8007:store1",
        "2001:db8::7:store1",
        "[2001:db8::7:store1",
        "[host]:store1",
        "alice@host:store1",
        "alice@pbs!@host:store1",
        "@host:store1",
        "al ice@pbs@host:store1",
        "alice@pbs@:store1",
        "ho st:store1",
        "-host:store1",
        "https://host:store1",
        "host/path:store1",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)


def test_an_address_without_brackets_gets_a_hint() -> None:
    with pytest.raises(InvalidRepository, match="IPv6 in brackets"):
        parse("2001:db8::7:store1")


@given(st.text(max_size=60) | st.from_regex(r"[a-z@!:\[\]0-9.]{0,40}:store1", fullmatch=True))
def test_any_text_is_a_repository_that_comes_back_or_invalid(text: str) -> None:
    try:
        repository = parse(text)
    except Invalid:
        return
    assert parse(str(repository)) == repository
    assert 0 < repository.port < 65536
