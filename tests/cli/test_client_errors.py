"""How a client's command fails: one line, a status by kind, the trace only when asked for, nothing secret."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.certificate import write_certificate
from kit.client_commands import ClientCommands
from kit.https_server import https_server
from kit.rest_app import Reply, RestApp
from platevault.cli.exit_codes import EXIT_CODES


class Site:
    """A REST server and the client's commands for it."""

    def __init__(self, app: RestApp, client: ClientCommands) -> None:
        self.app, self.client = app, client


@pytest.fixture
def site(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Site]:
    certificate, key, fingerprint = write_certificate(tmp_path)
    app = RestApp()
    with https_server(app, certificate, key) as server:
        repository = f"alice@pbs!laptop@127.0.0.1:{server.port}:store"
        client = ClientCommands(tmp_path, capsysbinary, PBS_REPOSITORY=repository, PBS_PASSWORD="s3cret", PBS_FINGERPRINT=fingerprint)
        yield Site(app, client)


@pytest.mark.parametrize(("status", "code"), [(400, 2), (401, 3), (403, 3), (404, 4), (409, 5), (500, 7)], ids=lambda value: str(value))
def test_every_kind_of_refusal_has_its_status_and_one_line(site: Site, status: int, code: int) -> None:
    site.app.answer = lambda _: Reply(b"because", status)
    outcome = site.client("snapshots")
    assert (outcome.status, outcome.raw) == (code, b"")
    assert outcome.error == f"error: GET /admin/datastore/store/snapshots: the server answered {status}: because"


def test_the_trace_is_shown_only_when_asked_for(site: Site) -> None:
    site.app.answer = lambda _: Reply(b"because", 400)
    assert "Traceback" not in site.client("snapshots").err
    shown = site.client("snapshots", "-v").err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("error: GET ")
    assert "Traceback" not in site.client("snapshots").err, "one command line does not change the next"


def test_nothing_secret_is_shown(site: Site) -> None:
    site.app.answer = lambda _: Reply(b"because", 400)
    for words in (
        ("snapshots", "-v"),
        ("login",),
        ("backup", "x.img:/no/such"),
        ("restore", "host/a/2023-11-14T22:13:20Z", "x.img", "-", "-v"),
    ):
        outcome = site.client(*words)
        assert "s3cret" not in outcome.err
        assert b"s3cret" not in outcome.raw


def test_what_a_server_says_cannot_drive_the_terminal(site: Site) -> None:
    site.app.answer = lambda _: Reply(b"\x1b]0;title\x07\x1b[31mred", 400)
    assert "\x1b" not in site.client("snapshots").err
    evil = {"backup-type": "host", "backup-id": "a", "backup-time": 1, "files": ["\x1b[31m\tx\ny"], "size": 5}
    site.app.answer = lambda _: Reply([evil])
    (line,) = site.client.good("snapshots").raw.decode().splitlines()
    assert "\x1b" not in line
    assert "\\x1b[31m\\tx\\ny" in line


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("snapshots",),
        ("files", "host/a/2023-11-14T22:13:20Z"),
        ("prune", "host/a", "--keep-last", "1"),
        ("status",),
        ("version",),
    ],
)
@pytest.mark.parametrize("data", [None, {}, [5], [{}], [{"backup-type": 1}], "text", 5])
def test_answers_of_a_wrong_shape_are_told(site: Site, words: tuple[str, ...], data: object) -> None:
    site.app.answer = lambda _: Reply(data)
    outcome = site.client(*words)
    assert outcome.status == 6
    assert "server" in outcome.error


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("snapshots", "--no-such"), "No such option"),
        (("no-such-command",), "No such command"),
        (("restore", "host/a"), "Missing argument"),
        (("backup", "x.img:/x", "--backup-time", "soon"), "--backup-time"),
        (("backup", "x.img:/x", "--backup-type", "tape"), "tape"),
        (("backup", "x.img:/x", "--crypt-mode", "rot13"), "rot13"),
        (("backup", "x.img:/x", "--crypt-mode", "encrypt"), "needs a key"),
        (("snapshots", "--ns", "a//b"), "namespace"),
        (("snapshots", "host"), "host"),
        (("forget", "host/a"), "host/a"),
        (("prune", "host/a", "--keep-last", "0"), "--keep-last"),
        (("snapshots", "--repository", "bad one"), "bad one"),
        (("snapshots", "--fingerprint", "12"), "no SHA-256 fingerprint"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_asks_no_server(site: Site, words: tuple[str, ...], text: str) -> None:
    outcome = site.client(*words)
    assert (outcome.status, outcome.raw) == (2, b"")
    assert text in outcome.error
    assert site.app.asked == []


def test_no_repository_and_no_password(site: Site) -> None:
    assert "PBS_REPOSITORY" in site.client("snapshots", PBS_REPOSITORY=None).error
    outcome = site.client("snapshots", PBS_PASSWORD=None)
    assert (outcome.status, "PBS_PASSWORD" in outcome.error) == (3, True)


def test_lists_as_text_and_as_json(site: Site) -> None:
    item = {
        "backup-type": "vm",
        "backup-id": "100",
        "backup-time": 1_700_000_000,
        "protected": True,
        "size": 1536,
        "files": [{"filename": "a.blob"}],
    }
    site.app.answer = lambda _: Reply([item | {"verification": {"state": "ok", "upid": "x"}}])
    assert site.client.good("snapshots").raw.decode() == "vm/100/2023-11-14T22:13:20Z\t1.50 KiB\tprotected, verify ok\ta.blob\n"
    for option in ("--output=json", "--output-format=json", "--output-format=json-pretty"):
        (found,) = site.client.good("snapshots", option).json
        assert found["backup-time"] == 1_700_000_000
        assert found["snapshot"] == "vm/100/2023-11-14T22:13:20Z"
    assert site.client.good("snapshot", "list").raw == site.client.good("snapshots").raw


def test_prune_sends_what_was_asked_and_shows_decisions(site: Site) -> None:
    item = {"backup-type": "vm", "backup-id": "100", "backup-time": 1_700_000_000}
    site.app.answer = lambda _: Reply([item | {"keep": True}, item | {"keep": False}, item | {"keep": True, "protected": True}])
    shown = site.client.good("prune", "vm/100", "--keep-last", "2", "--keep-yearly", "1", "-n", "--ns", "a/b").raw.decode()
    assert [line.split("\t")[1] for line in shown.splitlines()] == ["keep", "remove", "protected"]
    assert site.app.asked[-1].json == {
        "ns": "a/b",
        "backup-type": "vm",
        "backup-id": "100",
        "dry-run": True,
        "keep-last": 2,
        "keep-yearly": 1,
    }


def test_version_needs_no_server_unless_there_is_one(site: Site) -> None:
    assert "server" not in site.client.good("version", "--output", "json", PBS_REPOSITORY=None).json
    site.app.answer = lambda _: Reply({"version": "4.2", "release": "3", "repoid": "x"})
    assert site.client.good("version", "--output", "json").json["server"]["release"] == "3"
    assert b"server 4.2-3" in site.client.good("version").raw


@pytest.mark.parametrize("way", ["_FD", "_FILE", "_CMD"])
def test_the_password_comes_from_where_the_environment_says(site: Site, tmp_path: Path, way: str) -> None:
    (tmp_path / "secret").write_bytes(b"from elsewhere\r\nsecond line\n")
    values = {
        "_FD": str(os.open(tmp_path / "secret", os.O_RDONLY)),
        "_FILE": str(tmp_path / "secret"),
        "_CMD": f"cat {tmp_path / 'secret'}",
    }
    site.app.answer = lambda _: Reply([])
    site.client.good("snapshots", PBS_PASSWORD=None, **{f"PBS_PASSWORD{way}": values[way]})
    assert site.app.asked[-1].headers["authorization"].endswith(":from%20elsewhere")


@pytest.mark.parametrize(
    ("name", "value"), [("_FD", "99"), ("_FD", "x"), ("_FILE", "/no/such/file"), ("_CMD", "echo s3cret-word >/dev/null; exit 3")]
)
def test_a_password_that_cannot_be_had_is_told_without_the_command(site: Site, name: str, value: str) -> None:
    outcome = site.client("snapshots", PBS_PASSWORD=None, **{f"PBS_PASSWORD{name}": value})
    assert outcome.status == 2
    assert f"PBS_PASSWORD{name if name == '_CMD' else ''}" in outcome.error
    assert "s3cret-word" not in outcome.err


def test_every_family_of_errors_has_a_status_of_its_own() -> None:
    codes = [code for code, _ in EXIT_CODES.values()]
    assert len(codes) == len(set(codes)) == 7
    assert json.dumps(sorted(codes)) == "[2, 3, 4, 5, 6, 7, 8]"
