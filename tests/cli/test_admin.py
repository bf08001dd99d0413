"""The commands that administer the server on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.backups import backup, snapshot
from kit.command_line import CommandLine, Outcome
from platevault.cli.admin_task import local_tasks
from platevault.cli.local_services import local_accounts, local_datastores


def failed(outcome: Outcome, status: int, text: str) -> None:
    """One line that says what is wrong, the right status, and nothing on standard output."""
    assert (outcome.status, outcome.out) == (status, "")
    assert text in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_user_comes_changes_and_goes(local: CommandLine, password_file: Path) -> None:
    assert local(f"user create anna@pbs --password-file {password_file} --comment", "on the third floor").status == 0
    assert local("token create anna@pbs laptop").status == 0
    assert local("acl grant /datastore/main DatastoreBackup anna@pbs").status == 0
    assert local("acl grant /datastore/main DatastoreBackup anna@pbs!laptop --no-propagate").status == 0
    assert local("user update anna@pbs --disable").status == 0
    row = next(row for row in local("user list --output json").json if row["userid"] == "anna@pbs")
    assert row == {"userid": "anna@pbs", "comment": "on the third floor", "enable": False}
    assert local("user remove anna@pbs").status == 0
    assert [row["userid"] for row in local("user list --output json").json] == ["admin@pbs", "root@pam"]
    assert local("token list --output json").json == []
    assert [row["ugid"] for row in local("acl list --output json").json] == ["admin@pbs"]
    with local_accounts(local.state_dir) as accounts:
        assert not accounts.auth.is_password("anna@pbs", "correct horse")


def test_a_token_shows_its_secret_once(local: CommandLine) -> None:
    made = local("token create admin@pbs ci --output json").json
    with local_accounts(local.state_dir) as accounts:
        assert accounts.auth.identify(authorization=f"PBSAPIToken={made['tokenid']}:{made['value']}").auth_id == "admin@pbs!ci"
    assert made["value"] not in local("token list").out
    failed(local("token create admin@pbs ci"), 5, "already exists")
    assert local("token remove admin@pbs ci").status == 0
    failed(local("token remove admin@pbs ci"), 4, "no such token")
    failed(local("token create nobody@pbs ci"), 4, "no such user")


def test_a_password_is_changed(local: CommandLine, password_file: Path) -> None:
    password_file.write_text("another battery\n")
    assert local(f"user password admin@pbs --password-file {password_file}").status == 0
    with local_accounts(local.state_dir) as accounts:
        assert accounts.auth.is_password("admin@pbs", "another battery")
    failed(local(f"user password ghost@pbs --password-file {password_file}"), 4, "no such user")


def test_no_user_is_half_made(local: CommandLine, password_file: Path) -> None:
    password_file.write_text("short\n")
    failed(local(f"user create anna@pbs --password-file {password_file}"), 2, "8 to 64")
    assert "anna@pbs" not in local("user list").out
    failed(local("user remove root@pam"), 2, "cannot be removed")
    failed(local("user create anna@pbs"), 3, "--password-file")


def test_a_user_for_tokens_alone_has_no_password(local: CommandLine) -> None:
    assert local("user create pve@pbs --no-password").status == 0
    with local_accounts(local.state_dir) as accounts:
        assert not accounts.auth.is_password("pve@pbs", "")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("acl grant /datastore/main Emperor admin@pbs", 2, "no role"),
        ("acl grant /nowhere Admin admin@pbs", 2, "acl path"),
        ("acl grant / Admin ghost@pbs", 4, "no such user"),
        ("acl revoke / Audit admin@pbs", 4, "no such"),
        ("datastore show nowhere", 4, "no such datastore"),
        ("datastore create x /tmp/x", 2, "x"),
        ("task log UPID:nothing", 4, "no such task"),
        ("task abort UPID:nothing", 4, "no such task"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(local: CommandLine, words: str, status: int, text: str) -> None:
    failed(local(words), status, text)


def test_a_datastore_is_made_shown_and_forgotten(local: CommandLine, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert local("datastore create main", str(store)).status == 0
    with local_datastores(local.state_dir) as datastores:
        backup(datastores.get("main", "write"), snapshot("host/a"))
    shown = local("datastore show main --output json").json
    assert (shown["groups"], shown["snapshots"], shown["path"]) == (1, 1, str(store))
    plan = local("datastore remove main --destroy-data --dry-run")
    assert (plan.status, "1 groups and 1 snapshots" in plan.err) == (0, True)
    assert [row["name"] for row in local("datastore list --output json").json] == ["main"]
    assert local("datastore remove main").status == 0
    assert local("datastore list --output json").json == []
    failed(local("datastore create main", str(store)), 5, "holds a datastore already")
    assert local("datastore create main", str(store), "--reuse").status == 0
    assert local("datastore show main --output json").json["snapshots"] == 1


def test_data_goes_only_when_asked_for(local: CommandLine, tmp_path: Path) -> None:
    store = tmp_path / "store"
    local("datastore create main", str(store))
    (store / "letter.txt").write_text("somebody else's")
    assert local("datastore remove main --destroy-data --yes").status == 0
    assert [path.name for path in store.iterdir()] == ["letter.txt"]
    failed(local("datastore create main", str(store), "--reuse"), 2, "is not a datastore")


def test_datastores_do_not_overlap(local: CommandLine, tmp_path: Path) -> None:
    local("datastore create outer", str(tmp_path / "outer"))
    failed(local("datastore create inner", str(tmp_path / "outer" / "inner")), 2, "overlaps")


def test_tasks_are_shown(local: CommandLine) -> None:
    with local_tasks(local.state_dir) as tasks:
        task = tasks.begin("garbage_collection", "main", "root@pam")
        task.log("a line")
        task.finish()
        upid = str(task.upid)
    listed = local("task list --output json").json
    assert [(row["upid"], row["status"]) for row in listed] == [(upid, "OK")]
    assert local("task list --errors --output json").json == []
    lines = local("task log", upid).out.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["a line", "TASK OK"]
    assert local("task status", upid).out.strip() == "OK"
    assert local("task abort", upid).status == 0


def test_without_state_the_commands_say_what_to_do(fresh: CommandLine) -> None:
    for words in ("user list", "datastore list", "task list", "doctor", "serve"):
        failed(fresh(words), 4, "platevault init")
