"""The access list as it is kept (spec rest-api §6.3, §6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from platevault.config.acl import Acl, AclEntry, InvalidAclPath, check_path, normal_path
from platevault.config.database import open_database
from platevault.config.sections import StaleDigest


@pytest.fixture
def acl(tmp_path: Path) -> Iterator[Acl]:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield Acl(database)
    database.close()


def roles(acl: Acl) -> set[tuple[str, str, str]]:
    return {(entry.path, entry.auth_id, entry.role) for entry in acl.all()}


def test_no_access_stands_alone(acl: Acl) -> None:
    for path, auth_id in (("/", "alice@pbs"), ("/access", "alice@pbs"), ("/", "bob@pbs")):
        acl.grant(AclEntry(path, auth_id, "Audit"))
    acl.grant(AclEntry("/", "alice@pbs", "DatastoreAudit"))
    acl.grant(AclEntry("/", "alice@pbs", "NoAccess"))
    assert roles(acl) == {("/", "alice@pbs", "NoAccess"), ("/access", "alice@pbs", "Audit"), ("/", "bob@pbs", "Audit")}
    acl.grant(AclEntry("/", "alice@pbs", "NoAccess", propagate=False))
    acl.grant(AclEntry("/", "alice@pbs", "Admin"))
    assert ("/", "alice@pbs", "NoAccess") not in roles(acl)


def test_a_stale_digest_changes_nothing(acl: Acl) -> None:
    digest = acl.digest()
    acl.grant(AclEntry("/", "alice@pbs", "Audit"), digest=digest)
    with pytest.raises(StaleDigest):
        acl.grant(AclEntry("/", "alice@pbs", "NoAccess"), digest=digest)
    for role in ("Audit", "Admin"):
        with pytest.raises(StaleDigest):
            acl.revoke("/", "alice@pbs", role, digest=digest)
    assert roles(acl) == {("/", "alice@pbs", "Audit")}


def test_taking_away_what_is_not_there_is_fine(acl: Acl) -> None:
    acl.revoke("/", "alice@pbs", "Audit")
    acl.revoke("/", "alice@pbs", "Audit", digest=acl.digest())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/access/acl",
        "/access/openid/x",
        "/datastore/s1/a/b/c/d/e/f/g",
        "/remote/r1/s1/a",
        "/system/tasks",
        "/system/network/interfaces/eth0",
        "/tape/pool/p1",
        "//datastore//s1/",
    ],
)
def test_places(path: str) -> None:
    assert check_path(path) == normal_path(path)


@pytest.mark.parametrize(
    "path", ["", "datastore", "/nonsense", "/access/x", "/datastore/s1/1/2/3/4/5/6/7/8", "/datastore/..", "/system/x", "/" + "x" * 128]
)
def test_what_is_no_place(path: str) -> None:
    with pytest.raises(InvalidAclPath, match="invalid acl path"):
        check_path(path)
