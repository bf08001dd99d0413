"""User ids, token ids and paths of the access list (spec rest-api §4.1, §6.3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.config.acl import Acl, AclEntry, InvalidAclPath, check_path, normal_path
from platevault.config.database import open_database
from platevault.config.identifiers import InvalidAuthId, check_auth_id, check_user_id, is_token, name_of, realm_of, token_name, user_of
from platevault.config.sections import StaleDigest


@pytest.mark.parametrize(
    "text", ["a@pbs", "root@pam", "a@b@pbs", "ä€@pbs", "a!b@pbs", "a.b-c@my-realm.x", "x" * 60 + "@pbs", "@@pbs", "a@_r"]
)
def test_user_ids(text: str) -> None:
    assert check_user_id(text) == check_auth_id(text) == text
    assert not is_token(text)
    assert (user_of(text), f"{name_of(text)}@{realm_of(text)}") == (text, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@pbs",
        "a@p",
        "a b@pbs",
        "a:b@pbs",
        "a/b@pbs",
        "a\n@pbs",
        "a\0@pbs",
        "a@p bs",
        "a@pbs\n",
        "a@-bs",
        "x" * 61 + "@pbs",
        "a@" + "r" * 33,
    ],
)
def test_what_is_no_user_id(text: str) -> None:
    with pytest.raises(InvalidAuthId):
        check_user_id(text)
    with pytest.raises(InvalidAuthId):
        check_auth_id(text)


@pytest.mark.parametrize(
    ("text", "user", "token"), [("a@pbs!t", "a@pbs", "t"), ("a!b@pbs!_t.x-y", "a!b@pbs", "_t.x-y"), ("a@b@pbs!9", "a@b@pbs", "9")]
)
def test_token_ids(text: str, user: str, token: str) -> None:
    assert check_auth_id(text) == text
    assert (is_token(text), user_of(text), token_name(text)) == (True, user, token)
    with pytest.raises(InvalidAuthId):
        check_user_id(text)


@pytest.mark.parametrize("text", ["a@pbs!", "!t", "a!t", "a@pbs!-t", "a@pbs!t t", "a@pbs!t\n", "a@pbs!t/x", "@pbs!t", "a@pbs!ä"])
def test_what_is_no_token_id(text: str) -> None:
    with pytest.raises(InvalidAuthId):
        check_auth_id(text)


@given(text=st.text(max_size=80))
def test_only_our_error(text: str) -> None:
    for check in (check_user_id, check_auth_id):
        try:
            assert check(text) == text
        except InvalidAuthId:
            continue


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/access",
        "/access/acl",
        "/access/users",
        "/access/domains",
        "/access/openid",
        "/access/openid/x",
        "/datastore",
        "/datastore/a",
        "/datastore/a/b/c/d/e/f/g/h",
        "/remote",
        "/remote/r",
        "/remote/r/s",
        "/remote/r/s/1/2/3/4/5/6/7",
        "/system",
        "/system/certificates",
        "/system/disks",
        "/system/log",
        "/system/notifications",
        "/system/status",
        "/system/tasks",
        "/system/time",
        "/system/services",
        "/system/services/x",
        "/system/network",
        "/system/network/dns",
        "/system/network/interfaces",
        "/system/network/interfaces/eth0",
        "/system/s3-endpoint/x",
        "/system/encryption-keys/x",
        "/tape",
        "/tape/device",
        "/tape/device/x",
        "/tape/pool/x",
        "/tape/job/x",
    ],
)
def test_paths(path: str) -> None:
    assert check_path(path) == path
    assert check_path(path + "/") == path
    assert check_path("/" + path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "datastore",
        "/nothing",
        "/access/x",
        "/access/acl/x",
        "/access/openid/x/y",
        "/datastore/a/1/2/3/4/5/6/7/8",
        "/datastore/-a",
        "/datastore/a b",
        "/datastore/..",
        "/datastore/a\n",
        "/remote/r/s/1/2/3/4/5/6/7/8",
        "/system/x",
        "/system/status/x",
        "/system/network/x",
        "/tape/x",
        "/tape/device/x/y",
        "/datastore/" + "x" * 118,
    ],
)
def test_other_paths(path: str) -> None:
    with pytest.raises(InvalidAclPath, match="invalid acl path"):
        check_path(path)


def test_normal_paths() -> None:
    assert (normal_path(""), normal_path("//a///b/")) == ("/", "/a/b")


class TestAcl:
    """The list itself."""

    @pytest.fixture
    def acl(self, tmp_path: Path) -> Iterator[Acl]:
        database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
        yield Acl(database)
        database.close()

    def test_roles_add_up(self, acl: Acl) -> None:
        for role in ("DatastoreAudit", "DatastoreBackup", "DatastoreAudit"):
            acl.grant(AclEntry("/", "a@pbs", role))
        assert [entry.role for entry in acl.all()] == ["DatastoreAudit", "DatastoreBackup"]
        acl.grant(AclEntry("/", "a@pbs", "DatastoreAudit", propagate=False))
        assert [(entry.role, entry.propagate) for entry in acl.all()] == [("DatastoreAudit", False), ("DatastoreBackup", True)]

    def test_no_access_stands_alone(self, acl: Acl) -> None:
        others = [AclEntry("/", "b@pbs", "Admin"), AclEntry("/datastore", "a@pbs", "Admin")]
        for entry in (*others, AclEntry("/", "a@pbs", "Admin"), AclEntry("/", "a@pbs", "Audit"), AclEntry("/", "a@pbs", "NoAccess")):
            acl.grant(entry)
        assert [entry.role for entry in acl.all() if entry not in others] == ["NoAccess"]
        acl.grant(AclEntry("/", "a@pbs", "Audit"))
        assert [entry.role for entry in acl.all() if entry not in others] == ["Audit"]
        assert {entry.key for entry in others} <= {entry.key for entry in acl.all()}

    def test_roles_are_taken_away(self, acl: Acl) -> None:
        acl.grant(AclEntry("/", "a@pbs", "Admin"))
        acl.revoke("/", "a@pbs", "Audit")
        acl.revoke("/", "b@pbs", "Admin")
        acl.revoke("/datastore", "a@pbs", "Admin")
        assert len(acl.all()) == 1
        acl.revoke("/", "a@pbs", "Admin")
        assert acl.all() == []

    def test_digests(self, acl: Acl) -> None:
        old = acl.digest()
        acl.grant(AclEntry("/", "a@pbs", "Admin"), digest=old)
        with pytest.raises(StaleDigest):
            acl.grant(AclEntry("/", "a@pbs", "Audit"), digest=old)
        for who in ("a@pbs", "nobody@pbs"):
            with pytest.raises(StaleDigest):
                acl.revoke("/", who, "Admin", digest=old)
        acl.revoke("/", "nobody@pbs", "Admin", digest=acl.digest())
