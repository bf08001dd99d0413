"""Who is behind a request: tickets in cookies, tokens in headers, renewal, and what is remembered for how long (spec rest-api §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from kit.identities import Identities
from platevault.config.users import Token, User
from platevault.errors import Invalid
from platevault.services.auth import AuthenticationFailed, cookies, split_token, ticket_cookie
from platevault.services.tickets import Ticket

ALICE, PASSWORD = "alice@pbs", "correct horse"


@pytest.fixture
def identities(tmp_path: Path) -> Iterator[Identities]:
    identities = Identities(tmp_path)
    identities.user(ALICE, PASSWORD)
    yield identities
    identities.close()


def cookie(ticket: str, name: str = "PBSAuthCookie") -> str:
    return f"{name}={ticket}"


class TestLogin:
    """By password, or by a ticket."""

    def test_by_password(self, identities: Identities) -> None:
        login = identities.auth.login(ALICE, PASSWORD)
        assert login.user_id == ALICE
        assert identities.auth.identify(cookie=cookie(login.ticket)).auth_id == ALICE

    @pytest.mark.parametrize(
        ("user", "password"),
        [
            (ALICE, "wrong"),
            (ALICE, ""),
            ("bob@pbs", PASSWORD),
            ("alice@other", PASSWORD),
            ("Alice@pbs", PASSWORD),
            (ALICE, "PBS:x"),
            (ALICE, "\ud800"),
        ],
    )
    def test_wrong_ones_are_refused_in_the_same_words(self, identities: Identities, user: str, password: str) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            identities.auth.login(user, password)
        assert str(caught.value) == "authentication failed"

    @pytest.mark.parametrize("user", ["", "alice", "@pbs", "alice@", "a b@pbs", "alice@pbs!token", "a/b@pbs"])
    def test_what_is_no_user_id(self, identities: Identities, user: str) -> None:
        with pytest.raises(Invalid):
            identities.auth.login(user, PASSWORD)

    def test_an_unknown_user_takes_as_long_as_a_wrong_password(self, identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
        identities.user("off@pbs", PASSWORD, enable=False)
        tried: list[str] = []
        real = identities.auth.passwords.verify

        def verify(user_id: str, password: str) -> bool:
            tried.append(password)
            return real(user_id, password)

        monkeypatch.setattr(identities.auth.passwords, "verify", verify)
        for user in ("nobody@pbs", "nobody@pam", "off@pbs", ALICE):
            tried.clear()
            with pytest.raises(AuthenticationFailed):
                identities.auth.login(user, "wrong password")
            assert tried == ["wrong password"]

    def test_renewal(self, identities: Identities) -> None:
        first = identities.auth.login(ALICE, PASSWORD)
        identities.clock.advance(7000)
        second = identities.auth.login(ALICE, first.ticket)
        identities.clock.advance(7000)
        assert identities.auth.identify(cookie=cookie(second.ticket)).auth_id == ALICE
        with pytest.raises(AuthenticationFailed):
            identities.auth.login(ALICE, first.ticket)

    def test_a_ticket_renews_its_own_user_only(self, identities: Identities) -> None:
        identities.user("bob@pbs", PASSWORD)
        login = identities.auth.login(ALICE, PASSWORD)
        with pytest.raises(AuthenticationFailed):
            identities.auth.login("bob@pbs", login.ticket)

    def test_a_ticket_confirms_nothing(self, identities: Identities) -> None:
        """Where the password is asked for again, a ticket does not do."""
        login = identities.auth.login(ALICE, PASSWORD)
        assert identities.auth.is_password(ALICE, PASSWORD)
        assert not identities.auth.is_password(ALICE, login.ticket)

    def test_a_password_that_looks_like_a_ticket(self, identities: Identities) -> None:
        identities.user("bob@pbs", "PBS:bob@pbs:0::x")
        assert identities.auth.login("bob@pbs", "PBS:bob@pbs:0::x").user_id == "bob@pbs"

    def test_a_half_login_opens_nothing(self, identities: Identities) -> None:
        partial = identities.auth.signer.ticket('!tfa!{"totp":true}', identities.clock.now())
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(cookie=cookie(partial))
        with pytest.raises(AuthenticationFailed):
            identities.auth.login(ALICE, partial)

    def test_a_realm_that_cannot_be_asked(self, identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pam", None)
        with pytest.raises(AuthenticationFailed) as caught:
            identities.auth.login("root@pam", PASSWORD)
        assert str(caught.value) == "authentication failed"
        assert "python-pam" in caught.value.reason


class TestActive:
    """Disabled and expired users and tokens are nobody, at once and in spite of all that is remembered."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda identities: identities.users.update(User(ALICE, enable=False)),
            lambda identities: identities.users.update(User(ALICE, expire=int(identities.clock.now()))),
            lambda identities: identities.users.delete(ALICE),
        ],
        ids=["disabled", "expired", "deleted"],
    )
    def test_users(self, identities: Identities, change: Callable[[Identities], None]) -> None:
        login = identities.auth.login(ALICE, PASSWORD)
        secret = identities.token(f"{ALICE}!t")
        headers = [{"cookie": cookie(login.ticket)}, {"authorization": f"PBSAPIToken={ALICE}!t:{secret}"}]
        for header in headers:
            identities.auth.identify(**header)
        change(identities)
        for header in headers:
            with pytest.raises(AuthenticationFailed):
                identities.auth.identify(**header)
        with pytest.raises(AuthenticationFailed):
            identities.auth.login(ALICE, PASSWORD)
        with pytest.raises(AuthenticationFailed):
            identities.auth.login(ALICE, login.ticket)

    @pytest.mark.parametrize("expire", [None, 0, 2_000_000_000])
    def test_those_that_do_not_expire(self, identities: Identities, expire: int | None) -> None:
        identities.user("bob@pbs", PASSWORD, enable=True, expire=expire)
        assert identities.auth.login("bob@pbs", PASSWORD)

    def test_expiry_comes_with_time(self, identities: Identities) -> None:
        identities.user("bob@pbs", PASSWORD, expire=int(identities.clock.now()) + 10)
        login = identities.auth.login("bob@pbs", PASSWORD)
        identities.auth.identify(cookie=cookie(login.ticket))
        identities.clock.advance(10)
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(cookie=cookie(login.ticket))

    @pytest.mark.parametrize("token", [Token(f"{ALICE}!t", enable=False), Token(f"{ALICE}!t", expire=5)])
    def test_tokens(self, identities: Identities, token: Token) -> None:
        secret = identities.token(token.tokenid)
        header = f"PBSAPIToken={token.tokenid}:{secret}"
        assert identities.auth.identify(authorization=header).auth_id == token.tokenid
        identities.tokens.update(token)
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=header)


class TestTokens:
    """The header `Authorization`."""

    @pytest.fixture
    def secret(self, identities: Identities) -> str:
        return identities.token(f"{ALICE}!pve")

    @pytest.mark.parametrize("form", ["PBSAPIToken={}:{}", "PBSAPIToken {}:{}", "PBSAPIToken= {}:{} "])
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_forms(self, identities: Identities, secret: str, form: str, method: str) -> None:
        """No CSRF token is needed."""
        header = form.format(f"{ALICE}!pve", secret)
        assert identities.auth.identify(authorization=header, method=method).auth_id == f"{ALICE}!pve"

    def test_the_secret_may_be_encoded(self, identities: Identities, secret: str) -> None:
        header = f"PBSAPIToken={ALICE}!pve:{''.join(f'%{ord(letter):02x}' for letter in secret)}"
        assert identities.auth.identify(authorization=header).auth_id == f"{ALICE}!pve"

    @pytest.mark.parametrize(
        "form",
        [
            "{0}:{1}",
            "Bearer {0}:{1}",
            "PBSAPIToken{0}:{1}",
            "PBSAPITokens={0}:{1}",
            "PVEAPIToken={0}:{1}",
            "PBSAPIToken={0}",
            "PBSAPIToken={0}:",
            "PBSAPIToken={0}:{1}x",
            "PBSAPIToken={0}x:{1}",
            "PBSAPIToken=alice@pbs:{1}",
            "PBSAPIToken=:{1}",
            "PBSAPIToken=",
            "",
        ],
    )
    def test_wrong_ones(self, identities: Identities, secret: str, form: str) -> None:
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=form.format(f"{ALICE}!pve", secret))

    def test_the_secret_of_another_token(self, identities: Identities, secret: str) -> None:
        identities.token(f"{ALICE}!other")
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=f"PBSAPIToken={ALICE}!other:{secret}")

    def test_only_its_hash_is_stored(self, identities: Identities, secret: str) -> None:
        stored = identities.secrets.get("token", f"{ALICE}!pve")
        assert stored is not None
        assert len(stored) == 32
        assert secret.encode() not in stored

    def test_a_new_secret_ends_the_old_one(self, identities: Identities, secret: str) -> None:
        old = f"PBSAPIToken={ALICE}!pve:{secret}"
        identities.auth.identify(authorization=old)
        new = identities.auth.new_token_secret(f"{ALICE}!pve")
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=old)
        identities.auth.identify(authorization=f"PBSAPIToken={ALICE}!pve:{new}")
        identities.auth.forget_token_secret(f"{ALICE}!pve")
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=f"PBSAPIToken={ALICE}!pve:{new}")

    def test_a_secret_that_changes_while_it_is_checked_is_not_remembered(
        self, identities: Identities, secret: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = identities.secrets.get
        old = f"PBSAPIToken={ALICE}!pve:{secret}"

        def get(kind: str, key: str) -> bytes | None:
            found = real(kind, key)
            monkeypatch.setattr(identities.secrets, "get", real)
            identities.auth.new_token_secret(f"{ALICE}!pve")
            with pytest.raises(AuthenticationFailed):
                identities.auth.identify(authorization="PBSAPIToken=nobody@pbs!x:y")  # by another request
            return found

        monkeypatch.setattr(identities.secrets, "get", get)
        identities.auth.identify(authorization=old)  # it was right when it was asked
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=old)


class TestCookies:
    """The header `Cookie`."""

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            ("PBSAuthCookie=x", "x"),
            ("a=b; PBSAuthCookie=x; c=d", "x"),
            ("PBSAuthCookie=x; PBSAuthCookie=y", "x"),
            ("PBSAuthCookie=x; __Host-PBSAuthCookie=y", "y"),
            ("__Host-PBSAuthCookie=y", "y"),
            ("PBSAuthCookie=a%3Ab", "a:b"),
            ("PBSAuthCookie=", None),
            ("a=b", None),
            ("", None),
            ("broken; PBSAuthCookie=x", None),
            ("PBSAuthCookie=x; broken", "x"),
            ("pbsauthcookie=x", None),
        ],
    )
    def test_forms(self, header: str, found: str | None) -> None:
        assert ticket_cookie(header) == found

    def test_values_may_hold_equals_signs(self) -> None:
        assert cookies("a=b=c;d=e") == {"a": "b=c", "d": "e"}

    def test_encoded_tickets(self, identities: Identities) -> None:
        login = identities.auth.login(ALICE, PASSWORD)
        assert identities.auth.identify(cookie=cookie(quote(login.ticket, safe=""))).auth_id == ALICE

    def test_a_cookie_wins_over_a_token(self, identities: Identities) -> None:
        secret = identities.token(f"{ALICE}!t")
        header = f"PBSAPIToken={ALICE}!t:{secret}"
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(cookie=cookie("PBS:wrong"), authorization=header)
        login = identities.auth.login(ALICE, PASSWORD)
        assert identities.auth.identify(cookie=cookie(login.ticket), authorization=header).auth_id == ALICE
        assert identities.auth.identify(cookie="other=x", authorization=header).auth_id == f"{ALICE}!t"

    def test_nothing_at_all(self, identities: Identities) -> None:
        for header in ({}, {"cookie": ""}, {"cookie": "PBSAuthCookie="}):
            with pytest.raises(AuthenticationFailed):
                identities.auth.identify(**header)


class TestCsrf:
    """A cookie goes along with requests that another site made a browser send: what changes something needs more."""

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
    def test_needed_for_all_but_reading(self, identities: Identities, method: str) -> None:
        login = identities.auth.login(ALICE, PASSWORD)
        identities.user("bob@pbs", PASSWORD)
        header = cookie(login.ticket)
        identities.auth.identify(cookie=header, method="GET")
        assert identities.auth.identify(cookie=header, csrf=login.csrf_token, method=method).auth_id == ALICE
        for csrf in (None, "", "x", login.csrf_token[:-1], login.ticket, identities.auth.login("bob@pbs", PASSWORD).csrf_token):
            with pytest.raises(AuthenticationFailed):
                identities.auth.identify(cookie=header, csrf=csrf, method=method)

    def test_any_one_of_the_user_does(self, identities: Identities) -> None:
        first = identities.auth.login(ALICE, PASSWORD)
        identities.clock.advance(60)
        second = identities.auth.login(ALICE, PASSWORD)
        assert identities.auth.identify(cookie=cookie(second.ticket), csrf=first.csrf_token, method="POST")


class TestRemembered:
    """What was verified once is not verified each time, and is worth no more for it."""

    def test_a_ticket_expires_all_the_same(self, identities: Identities) -> None:
        header = cookie(identities.auth.login(ALICE, PASSWORD).ticket)
        identities.auth.identify(cookie=header)
        identities.clock.advance(7200)
        identities.auth.identify(cookie=header)
        identities.clock.advance(1)
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(cookie=header)

    def test_a_ticket_is_no_token(self, identities: Identities) -> None:
        """Or it would need no CSRF token, and never expire."""
        login = identities.auth.login(ALICE, PASSWORD)
        identities.auth.identify(cookie=cookie(login.ticket))
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(authorization=login.ticket, method="POST")

    def test_a_token_is_no_ticket(self, identities: Identities) -> None:
        header = f"PBSAPIToken={ALICE}!t:{identities.token(f'{ALICE}!t')}"
        identities.auth.identify(authorization=header)
        with pytest.raises(AuthenticationFailed):
            identities.auth.identify(cookie=cookie(header))

    def test_the_signature_is_checked_once(self, identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
        header = cookie(identities.auth.login(ALICE, PASSWORD).ticket)
        checked: list[str] = []
        real = identities.auth.signer.check

        def check(text: str, now: float) -> Ticket:
            checked.append(text)
            return real(text, now)

        monkeypatch.setattr(identities.auth.signer, "check", check)
        for _ in range(3):
            identities.auth.identify(cookie=header)
        assert len(checked) == 1
        identities.user("bob@pbs")  # any change of configuration
        identities.auth.identify(cookie=header)
        assert len(checked) == 2

    def test_only_so_many(self, identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platevault.services.auth.REMEMBERED", 3)
        for _ in range(10):
            identities.clock.advance(1)
            identities.auth.identify(cookie=cookie(identities.auth.login(ALICE, PASSWORD).ticket))
        assert len(identities.auth._remembered) == 3


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("PBSAPIToken=a@pbs!t:s", ("a@pbs!t", "s")),
        ("PBSAPIToken a@pbs!t:s:u", ("a@pbs!t", "s:u")),
        ("PBSAPIToken=a@b@pbs!t:%73", ("a@b@pbs!t", "s")),
    ],
)
def test_parts_of_a_token_header(header: str, parts: tuple[str, str]) -> None:
    assert split_token(header) == parts
