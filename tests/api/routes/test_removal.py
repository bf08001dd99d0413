"""Removal of snapshots and groups, and the change of an owner (spec rest-api §3.5, §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import ROOT, GroupName

PATH = f"/admin/datastore/{STORE}"
PLACE = f"/datastore/{STORE}"
GROUP = {"backup-type": "host", "backup-id": "a"}
NAME = {**GROUP, "backup-time": NOON}
HOST = GroupName.parse("host/a")


@pytest.fixture(autouse=True)
def made(site: Site) -> None:
    """host/a of alice with two snapshots."""
    for moment in (NOON, NOON + 60):
        backup(site.store, snapshot("host/a", moment), owner="alice@pbs")


def times(site: Site) -> list[int]:
    return sorted(entry.name.time for entry in site.store.snapshots(ROOT, HOST))


def test_one_snapshot(site: Site) -> None:
    assert site.root.delete(f"{PATH}/snapshots", NAME).data is None
    assert times(site) == [NOON + 60]
    again = site.root.delete(f"{PATH}/snapshots", NAME)
    assert (again.status, "does not exist" in again.text) == (400, True)


def test_with_its_last_snapshot_a_group_is_gone(site: Site) -> None:
    for moment in (NOON, NOON + 60):
        assert site.root.delete(f"{PATH}/snapshots", {**NAME, "backup-time": moment}).status == 200
    assert site.root.get(f"{PATH}/groups").data == []


def test_a_protected_snapshot_stays(site: Site) -> None:
    site.store.set_protected(ROOT, snapshot("host/a", NOON), True)
    answer = site.root.delete(f"{PATH}/snapshots", NAME)
    assert (answer.status, "cannot remove protected snapshot" in answer.text) == (400, True)
    assert times(site) == [NOON, NOON + 60]


def test_a_snapshot_in_use_stays(site: Site) -> None:
    with site.store.lock_snapshot(ROOT, snapshot("host/a", NOON), shared=True):
        assert site.root.delete(f"{PATH}/snapshots", NAME).status == 400
        assert site.root.delete(f"{PATH}/groups", GROUP).status == 400
    assert NOON in times(site)


def test_a_group(site: Site) -> None:
    assert site.root.delete(f"{PATH}/groups", GROUP).data == {"removed-groups": 1, "protected-snapshots": 0, "removed-snapshots": 2}
    answer = site.root.delete(f"{PATH}/groups", GROUP)
    assert (answer.status, "ENOENT: No such file or directory" in answer.text) == (400, True)


def test_a_group_with_a_protected_snapshot(site: Site) -> None:
    site.store.set_protected(ROOT, snapshot("host/a", NOON), True)
    answer = site.root.delete(f"{PATH}/groups", GROUP)
    assert (answer.status, answer.text) == (400, "group only partially deleted due to protected snapshots")
    assert times(site) == [NOON]
    found = site.root.delete(f"{PATH}/groups", {**GROUP, "error-on-protected": 0}).data
    assert found == {"removed-groups": 0, "protected-snapshots": 1, "removed-snapshots": 0}


@pytest.mark.parametrize(("what", "query"), [("snapshots", NAME), ("groups", GROUP)])
def test_who_may_remove(site: Site, what: str, query: dict[str, Any]) -> None:
    roles = {"nobody": ("NoAccess", 403), "backer": ("DatastoreBackup", 403), "other": ("DatastorePowerUser", 400)}
    for name, (role, status) in roles.items():
        assert site.user(name, {PLACE: role}).delete(f"{PATH}/{what}", query).status == status
    assert times(site) == [NOON, NOON + 60]
    assert site.user("alice", {PLACE: "DatastorePowerUser"}).delete(f"{PATH}/{what}", query).status == 200


# --- owner ---


def give(by: Session, new_owner: str, **more: Any) -> Any:
    return by.post(f"{PATH}/change-owner", {**GROUP, "new-owner": new_owner, **more})


def owner(site: Site) -> str:
    return site.store.owner(ROOT, HOST)


def test_administrators_give_groups_to_anybody(site: Site) -> None:
    site.user("bob")
    assert give(site.root, "bob@pbs").data is None
    assert owner(site) == "bob@pbs"


@pytest.mark.parametrize("new_owner", ["nobody@pbs", "bob@pbs!none", "no-realm"])
def test_an_owner_must_exist(site: Site, new_owner: str) -> None:
    site.user("bob")
    assert give(site.root, new_owner).status == 400
    assert owner(site) == "alice@pbs"


def test_owners_hand_over_to_their_tokens_and_take_back(site: Site) -> None:
    alice = site.user("alice", {PLACE: "DatastoreBackup"})
    site.token(alice)
    site.token(alice, "second")
    for new_owner in ("alice@pbs!tok", "alice@pbs", "alice@pbs!second", "alice@pbs!tok"):
        assert give(alice, new_owner).status == 200
        assert owner(site) == new_owner


def test_everything_else_is_refused_with_401(site: Site) -> None:
    alice = site.user("alice", {PLACE: "DatastoreBackup"})
    bob = site.user("bob", {PLACE: "DatastoreBackup"})
    token = site.token(alice, roles={PLACE: "DatastoreBackup"})
    for by, new_owner in ((alice, "bob@pbs"), (bob, "bob@pbs"), (token, "alice@pbs!tok"), (alice, "alice@pbs")):
        answer = give(by, new_owner)
        assert answer.status == 401
        assert answer.text.endswith(f"does not have permission to change owner of backup group 'host/a' to {new_owner}")
    assert owner(site) == "alice@pbs"


def test_a_group_with_a_running_backup_keeps_its_owner(site: Site) -> None:
    with site.store.lock_group(ROOT, HOST):
        assert give(site.root, "root@pam").status == 400
    assert owner(site) == "alice@pbs"


def test_a_missing_group_has_no_owner(site: Site) -> None:
    answer = give(site.root, "root@pam", **{"backup-id": "none"})
    assert (answer.status, "ENOENT" in answer.text) == (400, True)
