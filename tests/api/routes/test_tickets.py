"""Login, renewal and logout (spec rest-api §4)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from kit.asgi import Answer
from kit.site import PASSWORD, Site
from platevault.config.users import User

TICKET = re.compile(r"PBS:(?P<user>[^:]+):(?P<time>[0-9A-F]{8})::(?P<signature>[A-Za-z0-9+/]+)")
CSRF = re.compile(r"[0-9A-F]{8}:[A-Za-z0-9+/]+")


@pytest.fixture(scope="module")
def people(shared_site: Site) -> Site:
    """A site with alice@pbs, who has a password, and bob@pbs."""
    shared_site.user("alice", password=PASSWORD)
    shared_site.user("bob")
    return shared_site


def login(site: Site, user: str = "alice@pbs", password: str | None = PASSWORD, more: Any = None, *, output: str = "json") -> Answer:
    form = {"username": user, **({} if password is None else {"password": password}), **(more or {})}
    return site.anonymous.post("/access/ticket", form, output=output)


@pytest.mark.parametrize("output", ["json", "extjs"])
@pytest.mark.parametrize("body", ["form", "json_body"])
def test_login_has_one_answer_in_both_formats(people: Site, output: str, body: str) -> None:
    credentials: Any = {"username": "alice@pbs", "password": PASSWORD}
    answer = people.anonymous.request("POST", "/access/ticket", output=output, **{body: credentials})
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.envelope) == {"data", "status", "success"}
    assert set(answer.data) == {"username", "ticket", "CSRFPreventionToken"}
    found = TICKET.fullmatch(answer.data["ticket"])
    assert found is not None
    assert (found["user"], int(found["time"], 16)) == ("alice@pbs", int(people.clock.now()))
    assert CSRF.fullmatch(answer.data["CSRFPreventionToken"])


def test_the_ticket_opens_the_api(people: Site) -> None:
    data = login(people).data
    headers = {"cookie": "PBSAuthCookie=" + quote(data["ticket"], safe=""), "csrfpreventiontoken": data["CSRFPreventionToken"]}
    assert people.send("GET", "/api2/json/version", headers).status == 200
    assert people.send("PUT", "/api2/json/access/users/alice@pbs?comment=x", headers).status == 200


def test_http_only_hides_the_ticket_in_a_cookie(people: Site) -> None:
    answer = login(people, more={"http-only": 1})
    assert set(answer.data) == {"username", "ticket-info", "CSRFPreventionToken"}
    assert answer.data["ticket-info"].endswith("::ticketinfo")
    value, _, attributes = answer.headers["set-cookie"].partition("; ")
    assert TICKET.fullmatch(value.removeprefix("__Host-PBSAuthCookie="))
    assert attributes == "Secure; SameSite=Lax; HttpOnly; Path=/;"


def test_a_ticket_renews_itself(people: Site) -> None:
    ticket = login(people).data["ticket"]
    assert TICKET.fullmatch(login(people, password=ticket).data["ticket"])
    assert login(people, "bob@pbs", ticket).status == 401


def test_the_host_cookie_is_tried_before_the_password(people: Site) -> None:
    ticket = login(people).data["ticket"]
    target = "/api2/json/access/ticket?username=alice@pbs&http-only=1"
    for cookie in (f"__Host-PBSAuthCookie={quote(ticket, safe='')}", f"__Host-PBSAuthCookie={ticket}"):
        assert "ticket-info" in people.send("POST", target, {"cookie": cookie}).data
        assert "ticket-info" in people.send("POST", f"{target}&password=wrong-one", {"cookie": cookie}).data
    rubbish = {"cookie": "__Host-PBSAuthCookie=rubbish"}
    assert "ticket-info" in people.send("POST", f"{target}&password={quote(PASSWORD)}", rubbish).data
    assert people.send("POST", target, rubbish).status == 401
    # The other cookie is none that a page cannot read, so it renews nothing.
    assert people.send("POST", target, {"cookie": f"PBSAuthCookie={ticket}"}).status == 400


def test_no_password_at_all(people: Site) -> None:
    answer = login(people, password=None)
    assert (answer.status, answer.text) == (400, "no password provided")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice@pbs", "wrong-password"),
        ("alice@pbs", ""),
        ("alice@pbs", "x" * 100_000),
        ("alice@pbs", "PBS:alice@pbs:00000000::AAAA"),
        ("bob@pbs", PASSWORD),
        ("nobody@pbs", PASSWORD),
        ("nobody@nowhere", PASSWORD),
    ],
)
def test_a_failed_login_never_tells_why(people: Site, user: str, password: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = login(people, user, password)
    assert (answer.status, answer.text) == (401, "permission check failed.")
    assert answer.headers["set-cookie"].startswith("__Host-PBSAuthCookie=;")
    assert f"authentication failure; rhost=192.0.2.1 user={user}" in caplog.text
    inside = login(people, user, password, output="extjs")
    assert (inside.status, inside.envelope["status"], inside.envelope["success"]) == (200, 401, False)


@pytest.mark.parametrize("fields", [{"enable": False}, {"expire": 1}])
def test_who_is_not_active_does_not_get_in(site: Site, fields: dict[str, Any]) -> None:
    site.services.accounts.create_user(User("carol@pbs", **fields), PASSWORD)
    assert login(site, "carol@pbs").status == 401
    site.services.accounts.users.put(User("carol@pbs"))
    assert login(site, "carol@pbs").status == 200


@pytest.mark.parametrize("username", ["no-realm", "a@b", "user@pbs!token", "", "with blank@pbs", "sl/ash@pbs", "x" * 61 + "@pbs"])
def test_malformed_user_ids(people: Site, username: str) -> None:
    answer = login(people, username)
    assert (answer.status, answer.text) == (400, "parameter verification failed - 'username': value does not match the regex pattern")


def test_unknown_parameters(people: Site) -> None:
    assert login(people, more={"new-format": 1}).status == 400


def test_there_is_no_second_factor_to_be_answered(people: Site) -> None:
    assert login(people, password="totp:123456", more={"tfa-challenge": "PBS:!tfa!{}:00000000::AAAA"}).status == 401
    assert login(people, more={"tfa-challenge": ""}).status == 401


def test_a_terminal_question_with_an_ordinary_ticket_is_a_login(people: Site) -> None:
    ticket = login(people).data["ticket"]
    assert "ticket" in login(people, password=ticket, more={"path": "/system", "privs": "Sys.Audit", "port": 5900}).data


def test_logout_needs_no_login(people: Site) -> None:
    answer = people.anonymous.delete("/access/ticket")
    assert (answer.status, answer.envelope) == (200, {"data": {}, "status": 200, "success": True})
    assert "content-type" not in answer.headers
    assert answer.headers["set-cookie"].startswith("__Host-PBSAuthCookie=; Expires=Thu, 01 Jan 1970")
