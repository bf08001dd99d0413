"""Logging in, the ticket that is kept, and the question about an unknown certificate."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from kit.certificate import write_certificate
from kit.client_commands import ClientCommands
from kit.https_server import https_server
from kit.rest_app import Reply, RestApp
from platevault.cli import client_options


class Site:
    """A REST server and the client's commands for it, as a user with a password."""

    def __init__(self, app: RestApp, client: ClientCommands, fingerprint: str, port: int) -> None:
        self.app, self.client, self.fingerprint, self.port = app, client, fingerprint, port

    @property
    def tickets(self) -> Path:
        return self.client.home / ".cache" / "platevault" / "tickets.json"


@pytest.fixture
def site(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Site]:
    certificate, key, fingerprint = write_certificate(tmp_path)
    app = RestApp()
    app.answer = lambda _: Reply([])
    home = tmp_path / "home"
    home.mkdir()
    with https_server(app, certificate, key) as server:
        repository = f"alice@pbs@127.0.0.1:{server.port}:store"
        client = ClientCommands(home, capsysbinary, PBS_REPOSITORY=repository, PBS_PASSWORD="s3cret", PBS_FINGERPRINT=fingerprint)
        yield Site(app, client, fingerprint, server.port)


def test_a_ticket_is_kept_for_its_owner_only_and_used_without_a_password(site: Site) -> None:
    outcome = site.client.good("login")
    assert outcome.err == f"logged in as alice@pbs at 127.0.0.1:{site.port}\n"
    assert stat.S_IMODE(site.tickets.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.tickets.parent.stat().st_mode) == 0o700
    assert "s3cret" not in site.tickets.read_text()
    site.client.good("snapshots", PBS_PASSWORD=None)
    assert site.app.logins == 1
    assert "TICKET-1" in site.app.asked[-1].headers["cookie"]


def test_the_runtime_folder_is_preferred(site: Site, tmp_path: Path) -> None:
    site.client.good("login", XDG_RUNTIME_DIR=str(tmp_path / "run"))
    assert (tmp_path / "run" / "platevault" / "tickets.json").exists()
    assert not site.tickets.exists()


def test_logout_forgets_it_and_asks_no_server(site: Site) -> None:
    site.client.good("login")
    asked = len(site.app.asked)
    site.client.good("logout", PBS_PASSWORD=None)
    assert "TICKET" not in site.tickets.read_text()
    assert "there was no ticket" in site.client.good("logout").err
    assert len(site.app.asked) == asked
    assert "platevault login" in site.client("snapshots", PBS_PASSWORD=None).error


def test_a_ticket_is_of_one_user_at_one_server(site: Site) -> None:
    site.client.good("login")
    for repository in (f"bob@pbs@127.0.0.1:{site.port}:store", f"alice@pbs@localhost:{site.port}:store"):
        assert site.client("snapshots", PBS_REPOSITORY=repository, PBS_PASSWORD=None).status == 3


@pytest.mark.parametrize(
    "raw", ["", "[]", "{", '{"x": 5}', '{"alice@pbs@127.0.0.1:PORT": {"ticket": "x"}}', '{"alice@pbs@127.0.0.1:PORT": 5}']
)
def test_a_damaged_ticket_file_only_means_logging_in(site: Site, raw: str) -> None:
    site.tickets.parent.mkdir(parents=True)
    site.tickets.write_text(raw.replace("PORT", str(site.port)))
    site.client.good("snapshots")
    assert site.app.logins == 1


def test_a_ticket_that_the_server_does_not_know_any_more_falls_back_to_the_password(site: Site) -> None:
    site.client.good("login")
    accept = site.app.login
    site.app.login = lambda asked: accept(asked) if asked.json["password"] == "s3cret" else Reply(b"expired", 401)
    site.app.answer = lambda asked: Reply(b"expired", 401) if "TICKET-1" in asked.headers["cookie"] else Reply([])
    site.client.good("snapshots")
    assert site.client("snapshots", PBS_PASSWORD=None).status == 3


def test_a_token_needs_no_login(site: Site) -> None:
    outcome = site.client("login", PBS_REPOSITORY=f"alice@pbs!laptop@127.0.0.1:{site.port}:store")
    assert (outcome.status, "needs no login" in outcome.error) == (2, True)


# --- certificates ---


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A terminal with somebody who gives these answers."""
    answers: list[bool] = []
    monkeypatch.setattr(client_options, "on_a_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: answers.pop(0))
    return answers


def test_an_unknown_certificate_is_asked_about_once(site: Site, terminal: list[bool]) -> None:
    terminal.append(True)
    outcome = site.client.good("snapshots", PBS_FINGERPRINT=None)
    assert site.fingerprint in outcome.err
    file = site.client.home / ".config" / "platevault" / "fingerprints"
    assert file.read_text() == f"127.0.0.1:{site.port} {site.fingerprint}\n"
    site.client.good("snapshots", PBS_FINGERPRINT=None)


def test_a_certificate_that_is_not_accepted_gets_no_password(site: Site, terminal: list[bool]) -> None:
    terminal.append(False)
    outcome = site.client("snapshots", PBS_FINGERPRINT=None)
    assert outcome.status == 3
    assert "not accepted" in outcome.err
    assert site.app.asked == []


def test_what_proxmox_backup_client_has_accepted_is_accepted(site: Site) -> None:
    theirs = site.client.home / ".config" / "proxmox-backup"
    theirs.mkdir(parents=True)
    (theirs / "fingerprints").write_text(f"127.0.0.1:{site.port} {site.fingerprint}\n")
    site.client.good("snapshots", PBS_FINGERPRINT=None)


def test_a_changed_certificate_is_never_asked_about(site: Site, terminal: list[bool]) -> None:
    """The accepted one has been replaced: that is an attack until somebody says otherwise."""
    file = site.client.home / ".config" / "platevault" / "fingerprints"
    file.parent.mkdir(parents=True)
    file.write_text(f"127.0.0.1:{site.port} {':'.join(['ab'] * 32)}\n")
    outcome = site.client("snapshots", PBS_FINGERPRINT=None)
    assert (outcome.status, "another fingerprint than expected" in outcome.error) == (3, True)
    assert terminal == []


def test_files_of_the_user_follow_the_environment(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_CACHE_HOME": str(tmp_path / "k")}
    assert client_options.fingerprint_files(environment) == [
        tmp_path / "c/platevault/fingerprints",
        tmp_path / "c/proxmox-backup/fingerprints",
    ]
    assert client_options.ticket_file(environment) == tmp_path / "k/platevault/tickets.json"
