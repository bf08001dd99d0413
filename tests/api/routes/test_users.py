"""Users and their passwords (spec rest-api §10.2)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.site import PASSWORD, Site
from platevault.config.users import User

ONE = "/access/users/alice@pbs"
OTHER = "another password"


def listed(site: Site, **query: Any) -> dict[str, dict[str, Any]]:
    return {item["userid"]: item for item in site.root.get("/access/users", query).data}


def test_the_superuser_is_there_from_the_start(site: Site) -> None:
    answer = site.root.get("/access/users")
    assert (answer.data, len(answer.envelope["digest"])) == ([{"userid": "root@pam", "enable": True}], 64)


def test_what_is_given_is_kept(site: Site) -> None:
    fields: dict[str, Any] = {
        "comment": "who",
        "email": "a@example.org",
        "enable": True,
        "expire": 0,
        "firstname": "Alice",
        "lastname": "Example",
    }
    assert site.root.post("/access/users", {"userid": "alice@pbs", **fields}).data is None
    assert site.root.get(ONE).data == {"userid": "alice@pbs", **fields}


def test_what_is_not_given_is_not_there(site: Site) -> None:
    site.root.post("/access/users", {"userid": "alice@pbs", "password": PASSWORD})
    assert site.root.get(ONE).data == {"userid": "alice@pbs"}
    assert site.services.auth.login("alice@pbs", PASSWORD).user_id == "alice@pbs"


def test_tokens_are_listed_on_request(site: Site) -> None:
    alice = site.user("alice")
    site.token(alice)
    assert "tokens" not in listed(site)["alice@pbs"]
    found = listed(site, include_tokens=True)
    assert found["alice@pbs"]["tokens"] == [{"tokenid": "alice@pbs!tok"}]
    assert "tokens" not in found["root@pam"]
    assert site.root.get("/access/users", {"include-tokens": 1}).status == 400


def test_others_see_themselves_only(site: Site) -> None:
    alice = site.user("alice")
    token = site.token(alice)
    for session in (alice, token):
        assert [item["userid"] for item in session.get("/access/users").data] == ["alice@pbs"]
    assert alice.get(ONE).data["userid"] == "alice@pbs"
    assert token.get(ONE).status == 403
    auditor = site.user("auditor", {"/access/users": "Audit"})
    assert len(auditor.get("/access/users").data) == 3


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"userid": "alice@pbs"}, "user 'alice@pbs' already exists."),
        ({"userid": "x@nowhere"}, "unknown realm 'nowhere'"),
        ({"userid": "x@pbs!tok"}, "does not match the regex pattern"),
        ({"userid": "new@pbs", "password": "1234567"}, "'password': value must be at least 8 characters long"),
        ({"userid": "new@pbs", "password": "x" * 65}, "'password': value may only be 64 characters long"),
        ({"userid": "new@pam", "password": PASSWORD}, "pam"),
        ({"userid": "new@pbs", "email": "x"}, "'email'"),
        ({"userid": "new@pbs", "comment": "two\nlines"}, "'comment'"),
        ({"userid": "new@pbs", "expire": -1}, "'expire'"),
        ({}, "'userid'"),
    ],
)
def test_users_that_cannot_be_made(site: Site, form: dict[str, Any], text: str) -> None:
    site.user("alice")
    answer = site.root.post("/access/users", form)
    assert answer.status == 400
    assert text in answer.text
    assert set(listed(site)) == {"root@pam", "alice@pbs"}


def test_an_account_of_the_machine_has_its_password_there(site: Site) -> None:
    assert site.root.post("/access/users", {"userid": "new@pam"}).status == 200


def test_an_update_leaves_alone_what_is_not_given(site: Site) -> None:
    site.services.accounts.users.put(User("alice@pbs", comment="one", firstname="First"))
    assert site.root.put(ONE, {"comment": "two"}).data is None
    assert site.root.get(ONE).data == {"userid": "alice@pbs", "comment": "two", "firstname": "First"}
    assert site.root.put(ONE, {"delete": ["comment", "firstname"], "comment": "three"}).status == 200
    assert site.root.get(ONE).data == {"userid": "alice@pbs", "comment": "three"}


def test_defaults_are_stored_as_absent(site: Site) -> None:
    site.services.accounts.users.put(User("alice@pbs", enable=False, expire=5, comment="x"))
    assert site.root.put(ONE, {"enable": True, "expire": 0, "comment": ""}).status == 200
    assert site.root.get(ONE).data == {"userid": "alice@pbs"}


@pytest.mark.parametrize("form", [{"delete": "enable"}, {"delete": "userid"}, {"delete": "x"}, {"firstname": "x"}, {"unknown": 1}])
def test_updates_that_are_refused(site: Site, form: dict[str, Any]) -> None:
    site.user("alice")
    assert site.root.put(ONE, form).status == 400


def test_a_password_in_an_update_means_nothing(site: Site) -> None:
    site.user("alice", password=PASSWORD)
    assert site.root.put(ONE, {"password": OTHER}).status == 200
    assert site.services.auth.is_password("alice@pbs", PASSWORD)


def test_a_stale_digest_changes_nothing(site: Site) -> None:
    site.user("alice")
    digest = site.root.get(ONE).envelope["digest"]
    assert site.root.put(ONE, {"comment": "one", "digest": digest}).status == 200
    answer = site.root.put(ONE, {"comment": "two", "digest": digest})
    assert (answer.status, answer.text) == (400, "detected modified configuration - file changed by other user? Try again.")
    assert site.root.delete(ONE, {"digest": digest}).status == 400
    assert site.root.get(ONE).data["comment"] == "one"


def test_users_and_tokens_share_their_digest(site: Site) -> None:
    alice = site.user("alice")
    digest = site.root.get("/access/users").envelope["digest"]
    site.token(alice)
    assert site.root.get("/access/users").envelope["digest"] != digest
    assert site.root.get(f"{ONE}/token").envelope["digest"] == site.root.get("/access/users").envelope["digest"]


def test_with_a_user_goes_all_that_was_its_own(site: Site) -> None:
    alice = site.user("alice", {"/": "Admin"}, password=PASSWORD)
    token = site.token(alice, roles={"/": "Admin"})
    assert site.root.delete(ONE).data is None
    assert site.root.get(ONE).text == "no such user 'alice@pbs'"
    assert alice.get("/version").status == 401
    assert token.get("/version").status == 401
    assert site.root.get("/access/acl").data == []
    assert not site.services.auth.is_password("alice@pbs", PASSWORD)
    assert site.root.delete(ONE).text == "user 'alice@pbs' does not exist."


def test_the_superuser_stays(site: Site) -> None:
    assert site.root.delete("/access/users/root@pam").status == 400
    assert "root@pam" in listed(site)


def test_missing_users_are_400(site: Site) -> None:
    for answer in (site.root.get(ONE), site.root.put(ONE, {"comment": "x"}), site.root.delete(ONE)):
        assert answer.status == 400


# --- passwords ---


def change(site: Site, by: str, user: str = "alice@pbs", **form: str) -> int:
    return site.session(by).put("/access/password", {"userid": user, "password": OTHER, **form}).status


def test_everybody_changes_the_own_password_and_confirms(site: Site) -> None:
    site.user("alice", password=PASSWORD)
    assert change(site, "alice@pbs") == 401
    assert change(site, "alice@pbs", **{"confirmation-password": "wrong-one"}) == 401
    assert change(site, "alice@pbs", **{"confirmation-password": PASSWORD}) == 200
    assert site.services.auth.is_password("alice@pbs", OTHER)


def test_the_superuser_need_not_confirm(site: Site) -> None:
    site.user("alice")
    assert change(site, "root@pam") == 200
    assert change(site, "root@pam", "nobody@pbs") == 400
    assert change(site, "root@pam", "root@pam") == 400  # its password is kept by the machine


def test_administrators_change_those_of_others(site: Site) -> None:
    site.user("alice")
    site.user("boss", {"/": "Admin"}, password=PASSWORD)
    site.services.accounts.users.put(User("machine@pam"))
    confirmed = {"confirmation-password": PASSWORD}
    assert change(site, "boss@pbs", **confirmed) == 200
    assert change(site, "boss@pbs", "machine@pam", **confirmed) == 400


def test_others_may_not(site: Site) -> None:
    site.user("alice")
    site.user("bob", password=PASSWORD)
    answer = site.session("bob@pbs").put("/access/password", {"userid": "alice@pbs", "password": OTHER, "confirmation-password": PASSWORD})
    assert (answer.status, answer.text) == (400, "you are not authorized to change the password.")


def test_tokens_change_no_password(site: Site) -> None:
    alice = site.user("alice", {"/": "Admin"}, password=PASSWORD)
    token = site.token(alice, roles={"/": "Admin"})
    form = {"userid": "alice@pbs", "password": OTHER}
    assert token.put("/access/password", form).status == 401
    assert token.put("/access/password", {**form, "confirmation-password": "wrong-one"}).status == 401
    assert token.put("/access/password", {**form, "confirmation-password": PASSWORD}).status == 400
    assert site.services.auth.is_password("alice@pbs", PASSWORD)
