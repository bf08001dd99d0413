"""`platevault init`."""

from __future__ import annotations

from pathlib import Path

from kit.command_line import CommandLine
from platevault.cli.local_services import local_accounts, local_datastores
from platevault.formats.names import ROOT


def test_everything_is_made(fresh: CommandLine, password_file: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = fresh(f"init --password-file {password_file} --token conf --datastore main --datastore-path {store} --output json")
    assert made.status == 0, made.err
    assert {"user": "admin@pbs", "tokenid": "admin@pbs!conf", "datastore": "main"}.items() <= made.json.items()
    assert len(made.json["fingerprint"].split(":")) == 32
    assert fresh.state_dir.stat().st_mode & 0o777 == 0o700
    with local_accounts(fresh.state_dir) as accounts:
        assert accounts.auth.is_password("admin@pbs", "correct horse")
        assert not accounts.auth.is_password("admin@pbs", "wrong horse")
        header = f"PBSAPIToken=admin@pbs!conf:{made.json['token']}"
        assert accounts.auth.identify(authorization=header).auth_id == "admin@pbs!conf"
        assert {(entry.path, entry.auth_id, entry.role) for entry in accounts.acl.all()} == {
            ("/", "admin@pbs", "Admin"),
            ("/", "admin@pbs!conf", "Admin"),
        }
    with local_datastores(fresh.state_dir) as datastores:
        assert list(datastores.get("main", "read").namespaces(ROOT)) == [ROOT]


def test_a_password_is_made_up_and_shown_once(fresh: CommandLine) -> None:
    made = fresh("init --output json")
    assert made.status == 0, made.err
    with local_accounts(fresh.state_dir) as accounts:
        assert accounts.auth.is_password("admin@pbs", made.json["password"])


def test_secrets_are_for_the_owner_alone(local: CommandLine) -> None:
    readable = {path.name for path in local.state_dir.iterdir() if path.is_file() and path.stat().st_mode & 0o077}
    assert readable <= {"figures.json"}  # load and space of the machine


def test_a_state_is_made_once(local: CommandLine, password_file: Path) -> None:
    again = local(f"init --password-file {password_file}")
    assert (again.status, again.out) == (5, "")
    assert "is not empty" in again.err
    assert len(again.err.splitlines()) == 1


def test_a_failure_leaves_nothing_behind(fresh: CommandLine, password_file: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("not a backup")
    failed = fresh(f"init --password-file {password_file} --datastore main --datastore-path {foreign}")
    assert failed.status == 5
    assert "letter.txt" in failed.err
    assert fresh(f"init --password-file {password_file}").status == 0


def test_words_that_make_no_sense(fresh: CommandLine, password_file: Path, tmp_path: Path) -> None:
    assert fresh("init --datastore main").status == 2
    assert fresh(f"init --admin nobody --password-file {password_file}").status == 2
    assert fresh(f"init --password-file {tmp_path / 'missing'}").status == 2
    password_file.write_text("short\n")
    assert fresh(f"init --password-file {password_file}").status == 2
    assert not fresh.state_dir.exists() or not any(fresh.state_dir.iterdir())
