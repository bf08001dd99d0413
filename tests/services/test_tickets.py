"""Tickets and CSRF tokens: what a real server made is read, what is ours has its form, anything else is refused."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kit.identities import Identities
from platevault.config.secrets import SIGNING
from platevault.services.tickets import BadTicket, Signer, ticket_info

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED = json.loads((VECTORS / "rest" / "config" / "secrets.json").read_text())["tickets (signed with authkey.key, CSRF with csrf.key)"]
NOW = 1_718_000_000.0


@pytest.fixture
def identities(tmp_path: Path) -> Iterator[Identities]:
    identities = Identities(tmp_path)
    yield identities
    identities.close()


@pytest.fixture
def signer(identities: Identities) -> Signer:
    return identities.auth.signer


@pytest.fixture
def theirs(identities: Identities) -> Signer:
    """A signer with the keys of the recorded server."""
    private = serialization.load_pem_private_key((VECTORS / "identity" / "authkey.key").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    raw = serialization.Encoding.Raw
    key = private.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    csrf = (VECTORS / "identity" / "csrf.key").read_text()
    identities.secrets.set(SIGNING, "ticket", key)
    identities.secrets.set(SIGNING, "csrf", base64.b64decode(csrf + "=" * (-len(csrf) % 4)))
    return Signer(identities.secrets)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["username"]))
def test_tickets_of_the_real_server(theirs: Signer, recorded: dict[str, Any]) -> None:
    """Same bytes are signed, with the same kind of key and sum."""
    made = recorded["made-at"]
    found = theirs.check(recorded["ticket"], made + 10)
    assert (found.data, found.time, found.is_partial) == (recorded["username"], made, False)
    assert theirs.ticket(recorded["username"], made) == recorded["ticket"]
    theirs.check_csrf(recorded["CSRFPreventionToken"], recorded["username"], made + 10)
    assert theirs.csrf_token(recorded["username"], made) == recorded["CSRFPreventionToken"]


def test_the_form_that_clients_read(signer: Signer) -> None:
    ticket = signer.ticket("alice@pbs", NOW)
    assert re.fullmatch(r"PBS:alice@pbs:[0-9A-F]{8}::[A-Za-z0-9+/]{86}", ticket)
    assert re.fullmatch(r"[0-9A-F]{8}:[A-Za-z0-9+/]{43}", signer.csrf_token("alice@pbs", NOW))
    assert ticket_info(ticket) == f"PBS:alice@pbs:{int(NOW):08X}::ticketinfo"


@pytest.mark.parametrize(("age", "valid"), [(-301, False), (-300, True), (0, True), (7200, True), (7201, False)])
def test_ages(signer: Signer, age: float, valid: bool) -> None:
    ticket, token = signer.ticket("a@pbs", NOW), signer.csrf_token("a@pbs", NOW)
    if valid:
        assert signer.check(ticket, NOW + age).data == "a@pbs"
        signer.check_csrf(token, "a@pbs", NOW + age)
    else:
        with pytest.raises(BadTicket):
            signer.check(ticket, NOW + age)
        with pytest.raises(BadTicket):
            signer.check_csrf(token, "a@pbs", NOW + age)


@pytest.mark.parametrize(("age", "valid"), [(-61, False), (-60, True), (600, True), (601, False)])
def test_ages_of_partial_tickets(signer: Signer, age: float, valid: bool) -> None:
    ticket = signer.ticket('!tfa!{"totp":true}', NOW)
    if valid:
        assert signer.check(ticket, NOW + age).is_partial
    else:
        with pytest.raises(BadTicket):
            signer.check(ticket, NOW + age)


@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_any_name_survives(signer_of_module: Signer, name: str) -> None:
    ticket = signer_of_module.ticket(name, NOW)
    assert ticket.isascii()
    assert ticket.isprintable()
    assert " " not in ticket
    assert signer_of_module.check(ticket, NOW).data == name


@given(text=st.text(max_size=200), at=st.integers(0, 200))
def test_anything_else_is_refused(signer_of_module: Signer, text: str, at: int) -> None:
    ticket = signer_of_module.ticket("alice@pbs", NOW)
    for other in (text, ticket[:at] + text + ticket[at:] if text else ticket + ":"):
        with pytest.raises(BadTicket):
            signer_of_module.check(other, NOW)


@given(text=st.text(max_size=60))
def test_any_other_csrf_token_is_refused(signer_of_module: Signer, text: str) -> None:
    with pytest.raises(BadTicket):
        signer_of_module.check_csrf(text, "alice@pbs", NOW)


@pytest.fixture(scope="module")
def signer_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    identities = Identities(tmp_path_factory.mktemp("signer"))
    yield identities.auth.signer
    identities.close()


def test_every_bit_counts(signer: Signer) -> None:
    ticket = signer.ticket("alice@pbs", NOW)
    signature = ticket.rpartition("::")[2]
    for text in (ticket.replace("alice", "alicf"), ticket.replace("PBS:", "PBSTERM:"), ticket[:-1], ticket + "A", ticket + "\n"):
        with pytest.raises(BadTicket):
            signer.check(text, NOW)
    for at in range(len(signature) - 1):  # two bits of the last letter say nothing
        other = "B" if signature[at] == "A" else "A"
        with pytest.raises(BadTicket):
            signer.check(ticket[: len(ticket) - len(signature)] + signature[:at] + other + signature[at + 1 :], NOW)


def test_a_longer_text_is_not_even_looked_at(signer: Signer) -> None:
    with pytest.raises(BadTicket, match="not a ticket"):
        signer.check(signer.ticket("a" * 5000, NOW), NOW)


def test_a_csrf_token_belongs_to_its_user(signer: Signer) -> None:
    token = signer.csrf_token("alice@pbs", NOW)
    with pytest.raises(BadTicket, match="does not belong"):
        signer.check_csrf(token, "bob@pbs", NOW)
    moved = f"{int(NOW) + 1:08X}:{token.partition(':')[2]}"
    with pytest.raises(BadTicket):
        signer.check_csrf(moved, "alice@pbs", NOW)


def test_the_keys_are_made_once(identities: Identities, signer: Signer) -> None:
    again = Signer(identities.secrets)
    assert again.check(signer.ticket("alice@pbs", NOW), NOW).data == "alice@pbs"
    again.check_csrf(signer.csrf_token("alice@pbs", NOW), "alice@pbs", NOW)


def test_another_server_has_other_keys(signer: Signer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Identities(tmp_path / "other")
    with pytest.raises(BadTicket):
        other.auth.signer.check(signer.ticket("alice@pbs", NOW), NOW)
    with pytest.raises(BadTicket):
        other.auth.signer.check_csrf(signer.csrf_token("alice@pbs", NOW), "alice@pbs", NOW)
    other.close()
