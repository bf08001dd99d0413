"""API tokens of a user (spec rest-api §10.2)."""

from __future__ import annotations

import re

import pytest

from kit.asgi import Session
from kit.site import Site
from platevault.config.users import Token

LIST = "/access/users/alice@pbs/token"
ONE = f"{LIST}/tok"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def alice(site: Site) -> Session:
    return site.user("alice")


def works(site: Site, secret: str) -> bool:
    return site.send("GET", "/api2/json/version", {"authorization": f"PBSAPIToken=alice@pbs!tok:{secret}"}).status == 200


def test_the_secret_is_told_once(site: Site, alice: Session) -> None:
    data = alice.post(ONE, {"comment": "for pve", "enable": True, "expire": 0}).data
    assert (set(data), data["tokenid"]) == ({"tokenid", "value"}, "alice@pbs!tok")
    assert UUID.fullmatch(data["value"])
    assert works(site, data["value"])
    shown = {"tokenid": "alice@pbs!tok", "comment": "for pve", "enable": True, "expire": 0}
    assert alice.get(ONE).data == shown
    assert alice.get(LIST).data == [{**shown, "token-name": "tok"}]
    assert data["value"] not in alice.get(LIST).text + site.root.get("/access/users", {"include_tokens": 1}).text


def test_a_token_exists_once(alice: Session) -> None:
    alice.post(ONE)
    answer = alice.post(ONE)
    assert (answer.status, answer.text) == (400, "token 'tok' for user 'alice@pbs' already exists.")


@pytest.mark.parametrize("name", ["-x", "a b", "a%2Fb"])
def test_names_that_are_none(alice: Session, name: str) -> None:
    assert alice.post(f"{LIST}/{name}").status == 400


def test_one_letter_is_a_name(alice: Session) -> None:
    assert alice.post(f"{LIST}/x").status == 200


def test_an_unknown_user_has_no_tokens(site: Site) -> None:
    assert site.root.post("/access/users/nobody@pbs/token/tok").status == 400
    assert site.root.get("/access/users/nobody@pbs/token").data == []


def test_a_token_is_changed_and_given_a_new_secret(site: Site, alice: Session) -> None:
    old = alice.post(ONE, {"comment": "x"}).data["value"]
    assert alice.put(ONE, {"delete": "comment"}).data is None
    new = alice.put(ONE, {"regenerate": 1}).data["secret"]
    assert (works(site, old), works(site, new)) == (False, True)
    assert alice.put(ONE, {"enable": False}).data is None
    assert not works(site, new)
    assert alice.put(ONE, {"enable": True}).data is None
    assert works(site, new)
    assert alice.get(ONE).data == {"tokenid": "alice@pbs!tok"}


@pytest.mark.parametrize("fields", [{"enable": False}, {"expire": 1}])
def test_an_inactive_token_does_not_get_in(site: Site, alice: Session, fields: dict[str, int]) -> None:
    token = site.token(alice)
    assert token.get("/version").status == 200
    site.services.accounts.tokens.put(Token("alice@pbs!tok", **fields))  # type: ignore[arg-type]
    assert token.get("/version").status == 401


def test_with_a_token_go_its_permissions(site: Site, alice: Session) -> None:
    token = site.token(alice, roles={"/": "Audit"})
    assert alice.delete(ONE).data is None
    assert site.root.get("/access/acl").data == []
    assert token.get("/version").status == 401
    assert alice.get(ONE).text == "no such token 'alice@pbs!tok'"
    answer = alice.delete(ONE)
    assert (answer.status, answer.text) == (400, "token 'tok' of user 'alice@pbs' does not exist.")


def test_a_stale_digest_changes_nothing(alice: Session) -> None:
    alice.post(ONE)
    digest = alice.get(ONE).envelope["digest"]
    assert alice.put(ONE, {"comment": "one", "digest": digest}).status == 200
    for answer in (
        alice.put(ONE, {"comment": "two", "digest": digest}),
        alice.delete(ONE, {"digest": digest}),
        alice.post(f"{LIST}/other", {"digest": digest}),
    ):
        assert answer.status == 400
    assert alice.get(ONE).data["comment"] == "one"


def test_tokens_of_others(site: Site, alice: Session) -> None:
    bob = site.user("bob")
    assert bob.get(LIST).status == 403
    assert bob.post(ONE).status == 403
    token = site.token(alice)
    assert token.post(f"{LIST}/second").status == 403  # a token is not its user
