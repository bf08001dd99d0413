"""REST calls over real TLS: how parameters travel, who we are, tickets and their renewal, and answers that are none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

from kit.certificate import write_certificate
from kit.https_server import https_server
from kit.rest_app import Asked, Reply, RestApp
from platevault.client import rest
from platevault.client.credentials import Credentials, PasswordCredentials, Ticket, TokenCredentials
from platevault.client.refusal import Refused, RefusedAccess
from platevault.client.repository import Repository
from platevault.client.rest import MalformedAnswer, RestClient, SecondFactorNeeded
from platevault.client.trust import CannotConnect, Trust, UntrustedCertificate
from platevault.clock import ManualClock
from platevault.errors import Corrupt, Forbidden, NotFound

PASSWORD = PasswordCredentials("alice@pbs", "s3cret ä")
TOKEN = TokenCredentials("alice@pbs!laptop", "top:se%cret/ä")
MINUTE = 60


class Server:
    """A running REST server and clients of it."""

    def __init__(self, app: RestApp, port: int, fingerprint: str) -> None:
        self.app, self.port, self.fingerprint = app, port, fingerprint
        self.clock = ManualClock()

    def client(self, credentials: Credentials = PASSWORD, *, ticket: Ticket | None = None, pin: str | None = None) -> RestClient:
        repository = Repository("store", "127.0.0.1", self.port, credentials.auth_id)
        return RestClient(repository, Trust(pin or self.fingerprint), credentials, self.clock, ticket=ticket)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    certificate, key, fingerprint = write_certificate(tmp_path)
    app = RestApp()
    with https_server(app, certificate, key) as running:
        yield Server(app, running.port, fingerprint)


def test_get_put_and_delete_carry_parameters_in_the_query(server: Server) -> None:
    client = server.client(TOKEN)
    for call in (client.get, client.put, client.delete):
        assert call("admin/datastore/s/x", backup_id="a/b ä", keep=3, flag=True, off=False, left_out=None, many=["1", "2"]) == "fine"
        asked = server.app.asked[-1]
        assert asked.path == "/api2/json/admin/datastore/s/x"
        assert asked.query == {"backup-id": "a/b ä", "keep": "3", "flag": "true", "off": "false", "many": "1,2"}
        assert (asked.body, asked.headers["content-type"]) == (b"", "application/x-www-form-urlencoded")


def test_post_carries_json_and_uploads_bytes(server: Server) -> None:
    client = server.client(TOKEN)
    client.post("x", dry_run=True, keep_last=3, ns=None)
    assert server.app.asked[-1].json == {"dry-run": True, "keep-last": 3}
    assert server.app.asked[-1].headers["content-type"] == "application/json"
    client.post("x")
    assert server.app.asked[-1].body == b""
    client.upload("x", b"\x00\xff", backup_time=5)
    asked = server.app.asked[-1]
    assert (asked.body, asked.query, asked.headers["content-type"]) == (b"\x00\xff", {"backup-time": "5"}, "application/octet-stream")


def test_a_token_goes_with_every_request_and_never_logs_in(server: Server) -> None:
    client = server.client(TOKEN)
    client.get("version")
    (asked,) = server.app.asked
    name, _, secret = asked.headers["authorization"].partition(":")
    assert name == "PBSAPIToken=alice@pbs!laptop"
    assert unquote(secret) == TOKEN.secret
    assert client.auth_headers() == {"authorization": asked.headers["authorization"]}


def test_a_password_logs_in_once_and_the_ticket_goes_with_every_request(server: Server) -> None:
    client = server.client()
    for _ in range(3):
        client.get("version")
    assert server.app.logins == 1
    assert server.app.asked[0].json == {"username": "alice@pbs", "password": "s3cret ä"}
    for asked in server.app.asked[1:]:
        assert unquote(asked.headers["cookie"]) == "PBSAuthCookie=PBS:alice@pbs:TICKET-1::x+/="
        assert asked.headers["csrfpreventiontoken"] == "CSRF-1"


def test_a_ticket_is_renewed_with_itself_after_a_quarter_of_an_hour(server: Server) -> None:
    client = server.client()
    client.get("version")
    server.clock.advance(14 * MINUTE)
    client.get("version")
    assert server.app.logins == 1
    server.clock.advance(2 * MINUTE)
    client.get("version")
    assert [asked.json["password"] for asked in server.app.asked if asked.path.endswith("ticket")] == [
        "s3cret ä",
        "PBS:alice@pbs:TICKET-1::x+/=",
    ]
    assert "TICKET-2" in server.app.asked[-1].headers["cookie"]


def test_a_ticket_that_is_refused_falls_back_to_the_password(server: Server) -> None:
    accept = server.app.login
    server.app.login = lambda asked: accept(asked) if asked.json["password"] == PASSWORD.password else Reply(b"no", 401)
    client = server.client(ticket=Ticket("alice@pbs", "PBS:old", "x", issued=server.clock.now() - 3 * 3600))
    client.get("version")
    assert [asked.path.rpartition("/")[2] for asked in server.app.asked] == ["ticket", "ticket", "version"]


def test_a_cached_ticket_needs_no_password_and_no_login(server: Server) -> None:
    ticket = Ticket("alice@pbs", "PBS:cached", "csrf", issued=server.clock.now() - MINUTE)
    server.client(PasswordCredentials("alice@pbs", ""), ticket=ticket).get("version")
    assert server.app.logins == 0


def test_without_ticket_and_password_nothing_is_sent(server: Server) -> None:
    with pytest.raises(Forbidden, match="PBS_PASSWORD"):
        server.client(PasswordCredentials("alice@pbs", "")).get("version")
    assert server.app.asked == []


def test_a_cookie_that_the_server_sets_is_used_under_its_name(server: Server) -> None:
    data = {"username": "alice@pbs", "CSRFPreventionToken": "c"}
    server.app.login = lambda _: Reply(data, headers=(("set-cookie", "__Host-PBSAuthCookie=PBS:x::y; Secure; HttpOnly; Path=/"),))
    client = server.client()
    client.get("version")
    assert unquote(server.app.asked[-1].headers["cookie"]) == "__Host-PBSAuthCookie=PBS:x::y"


def test_a_wrong_password_is_told_in_one_line_with_user_and_server(server: Server) -> None:
    server.app.login = lambda _: Reply(b"authentication failure", 401)
    with pytest.raises(RefusedAccess) as caught:
        server.client().get("version")
    assert str(caught.value) == f"login of alice@pbs at 127.0.0.1:{server.port}: the server answered 401: authentication failure"


def test_a_second_factor_is_told(server: Server) -> None:
    server.app.login = lambda _: Reply({"username": "a", "ticket": "PBS:!tfa!x", "CSRFPreventionToken": "x"})
    with pytest.raises(SecondFactorNeeded, match="API token"):
        server.client().get("version")


@pytest.mark.parametrize(
    "data", [None, [], "text", {}, {"ticket": 5}, {"ticket": "x"}, {"ticket": "x", "CSRFPreventionToken": "a\r\nb: c"}]
)
def test_a_login_answer_that_is_none(server: Server, data: object) -> None:
    server.app.login = lambda _: Reply(data)
    with pytest.raises(MalformedAnswer):
        server.client().get("version")


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b"5", b"{}", b'{"other":1}', b"\xff", b"[" * 100_000])
def test_a_success_that_is_no_answer(server: Server, raw: bytes) -> None:
    server.app.answer = lambda _: Reply(raw)
    with pytest.raises(MalformedAnswer, match="GET /version: the answer is no JSON object"):
        server.client(TOKEN).get("version")


def test_an_empty_success_is_null(server: Server) -> None:
    server.app.answer = lambda _: Reply(b"")
    assert server.client(TOKEN).put("x") is None


def test_errors_have_their_family_and_redirects_are_not_followed(server: Server) -> None:
    server.app.answer = lambda _: Reply(b"no such thing", 404)
    with pytest.raises(NotFound, match="GET /x: the server answered 404: no such thing"):
        server.client(TOKEN).get("x")
    server.app.answer = lambda _: Reply(b"", 302, (("location", "https://elsewhere.invalid/"),))
    with pytest.raises(Refused):
        server.client(TOKEN).get("x")
    assert len(server.app.asked) == 2


def test_an_answer_without_end_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_ANSWER_BYTES", 1000)
    server.app.answer = lambda _: Reply("x" * 2000)
    with pytest.raises(Corrupt, match="larger than 1000 bytes"):
        server.client(TOKEN).get("x")


def test_another_certificate_gets_no_secret(server: Server) -> None:
    pin = ":".join(["ab"] * 32)
    for credentials in (TOKEN, PASSWORD):
        with pytest.raises(UntrustedCertificate) as caught:
            server.client(credentials, pin=pin).get("version")
        assert (caught.value.expected, caught.value.got) == (pin, server.fingerprint)
    assert server.app.asked == []


def test_an_unknown_authority_gets_no_secret(server: Server) -> None:
    repository = Repository("store", "127.0.0.1", server.port, TOKEN.auth_id)
    with RestClient(repository, Trust(), TOKEN, server.clock) as client, pytest.raises(UntrustedCertificate, match="is not trusted"):
        client.get("version")
    assert server.app.asked == []


def test_no_server_is_told(server: Server) -> None:
    repository = Repository("store", "127.0.0.1", 1, TOKEN.auth_id)
    with pytest.raises(CannotConnect, match=r"cannot reach 127\.0\.0\.1 port 1: .*refused"):
        RestClient(repository, Trust(server.fingerprint), TOKEN, server.clock).get("version")


def test_threads_log_in_once(server: Server) -> None:
    client, begin = server.client(), threading.Barrier(6)

    def ask(_: int) -> object:
        begin.wait(20)
        return client.get("version")

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == ["fine"] * 6
    assert server.app.logins == 1


def test_secrets_do_not_show() -> None:
    shown = repr([PASSWORD, TOKEN, Ticket("a", "TICKET", "CSRF", 0)])
    for secret in (PASSWORD.password, TOKEN.secret, "TICKET", "CSRF"):
        assert secret not in shown


def test_asked_is_complete(server: Server) -> None:
    """The kit itself: what it remembers is what was sent."""
    server.client(TOKEN).get("a%2Fb", x="")
    asked: Asked = server.app.asked[0]
    assert (asked.method, asked.path, asked.query) == ("GET", "/api2/json/a%2Fb", {"x": ""})
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
