"""Declared permissions (spec rest-api §6.5)."""

from __future__ import annotations

from platevault.api.access_rules import AUTHENTICATED, PUBLIC, SUPERUSER, Oneself, Rule, either, needs

HELD = {"/datastore/s1": {"Datastore.Audit"}, "/system/tasks": {"Sys.Audit"}}


def allows(rule: Rule, auth_id: str = "alice@pbs", **place: str) -> bool:
    return rule.allows(auth_id, place, lambda path: HELD.get(path, set()))


def test_rules_that_need_no_privilege() -> None:
    assert allows(PUBLIC)
    assert allows(AUTHENTICATED)


def test_the_superuser_is_one_user_and_none_of_its_tokens() -> None:
    assert allows(SUPERUSER, "root@pam")
    assert not allows(SUPERUSER, "root@pam!tok")
    assert not allows(SUPERUSER)


def test_one_of_several_privileges_on_a_path_with_placeholders() -> None:
    rule = needs("/datastore/{store}", "Datastore.Audit", "Datastore.Backup")
    assert allows(rule, store="s1")
    assert not allows(rule, store="s2")
    assert not allows(needs("/datastore/{store}", "Datastore.Modify"), store="s1")
    assert str(rule) == "Datastore.Audit or Datastore.Backup on /datastore/{store}"


def test_oneself_is_the_user_and_not_its_token() -> None:
    assert allows(Oneself(), userid="alice@pbs")
    assert not allows(Oneself(), "alice@pbs!tok", userid="alice@pbs")
    assert not allows(Oneself(), userid="bob@pbs")


def test_either_of_two_rules() -> None:
    rule = either(needs("/system/tasks", "Sys.Modify"), Oneself())
    assert allows(rule, userid="alice@pbs")
    assert not allows(rule, userid="bob@pbs")
    assert str(rule) == "Sys.Modify on /system/tasks, or self"
