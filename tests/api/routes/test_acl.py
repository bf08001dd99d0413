"""The access list and what comes out of it (spec rest-api §6, §10.2)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Session
from kit.site import Site

ACL = "/access/acl"


def grant(by: Session, auth_id: str = "alice@pbs", path: str = "/datastore/store", role: str = "DatastoreAudit", **more: Any) -> Any:
    return by.put(ACL, {"auth-id": auth_id, "path": path, "role": role, **more})


def entries(site: Site, **query: Any) -> set[tuple[str, str, str, bool]]:
    return {(item["path"], item["ugid"], item["roleid"], item["propagate"]) for item in site.root.get(ACL, query).data}


def test_an_entry_is_shown_as_it_was_made(site: Site) -> None:
    site.user("alice")
    assert grant(site.root).data is None
    answer = site.root.get(ACL)
    assert answer.data == [
        {"path": "/datastore/store", "ugid": "alice@pbs", "ugid_type": "user", "propagate": True, "roleid": "DatastoreAudit"}
    ]
    assert len(answer.envelope["digest"]) == 64


def test_an_entry_works_at_once(site: Site) -> None:
    alice = site.user("alice")
    assert alice.get("/admin/datastore/store/groups").status == 403
    grant(site.root)
    assert alice.get("/admin/datastore/store/groups").status == 200
    grant(site.root, delete=True)
    assert alice.get("/admin/datastore/store/groups").status == 403


def test_paths_are_filtered_with_what_is_below(site: Site) -> None:
    site.user("alice")
    for path in ("/", "/datastore", "/datastore/store", "/datastore/store/a"):
        grant(site.root, path=path)
    assert {path for path, *_ in entries(site, path="/datastore/store")} == {"/datastore/store", "/datastore/store/a"}
    assert {path for path, *_ in entries(site, path="/datastore/store", exact=1)} == {"/datastore/store"}
    assert {path for path, *_ in entries(site, path="/", exact=1)} == {"/"}
    assert len(entries(site, path="/")) == 4


def test_no_access_stands_alone(site: Site) -> None:
    site.user("alice")
    for role in ("DatastoreAudit", "DatastoreBackup", "NoAccess"):
        grant(site.root, role=role)
    assert entries(site) == {("/datastore/store", "alice@pbs", "NoAccess", True)}
    grant(site.root, role="DatastoreBackup", propagate=False)
    assert entries(site) == {("/datastore/store", "alice@pbs", "DatastoreBackup", False)}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"auth-id": "alice@pbs", "path": "/nonsense", "role": "Admin"}, "invalid acl path '/nonsense'."),
        ({"auth-id": "alice@pbs", "path": "/datastore/s/1/2/3/4/5/6/7/8", "role": "Admin"}, "invalid acl path"),
        ({"auth-id": "alice@pbs", "path": "datastore", "role": "Admin"}, "'path'"),
        ({"auth-id": "alice@pbs", "path": "/", "role": "Nope"}, "'role': value 'Nope' is not defined in the enumeration."),
        ({"auth-id": "nobody@pbs", "path": "/", "role": "Admin"}, "no such user."),
        ({"auth-id": "alice@pbs!none", "path": "/", "role": "Admin"}, "no such API token."),
        ({"group": "admins", "path": "/", "role": "Admin"}, "parameter 'group' - groups are currently not supported."),
        ({"path": "/", "role": "Admin"}, "missing 'userid' or 'group' parameter."),
    ],
)
def test_entries_that_cannot_be_made(site: Site, form: dict[str, Any], text: str) -> None:
    site.user("alice")
    answer = site.root.put(ACL, form)
    assert answer.status == 400
    assert text in answer.text
    assert entries(site) == set()


def test_removal_checks_neither_path_nor_id(site: Site) -> None:
    assert grant(site.root, "gone@pbs", "/no/such/place", delete=True).data is None


def test_a_stale_digest_changes_nothing(site: Site) -> None:
    site.user("alice")
    digest = site.root.get(ACL).envelope["digest"]
    assert grant(site.root, digest=digest).status == 200
    assert grant(site.root, role="Admin", digest=digest).status == 400
    assert grant(site.root, delete=True, digest=digest).status == 400
    assert len(entries(site)) == 1


def test_everybody_manages_the_own_tokens(site: Site) -> None:
    alice, bob = site.user("alice", {"/datastore/store": "DatastoreAdmin"}), site.user("bob")
    site.token(alice)
    site.token(bob)
    assert grant(alice, "alice@pbs!tok").status == 200
    assert [item["ugid"] for item in alice.get(ACL).data] == ["alice@pbs!tok"]
    for auth_id in ("bob@pbs!tok", "alice@pbs", "bob@pbs"):
        answer = grant(alice, auth_id)
        assert (answer.status, answer.text) == (400, "Unprivileged users can only set ACL items for API tokens.")


def test_a_token_manages_nobody(site: Site) -> None:
    alice = site.user("alice")
    token = site.token(alice)
    site.token(alice, "second")
    assert grant(token, "alice@pbs!second").status == 400
    assert token.get(ACL).data == []


def test_post_is_not_served(site: Site) -> None:
    assert site.root.post(ACL, {}).status == 404


# --- privileges ---


def permissions(session: Session, **query: Any) -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = session.get("/access/permissions", query).data
    return found


def test_the_superuser_holds_everything_everywhere(site: Site) -> None:
    found = permissions(site.root)
    assert set(found) == {"/", "/access", "/datastore", "/remote", "/system"}
    assert all(len(flags) == 23 and all(flags.values()) for flags in found.values())


def test_paths_without_privileges_are_left_out(site: Site) -> None:
    alice = site.user("alice")
    assert permissions(alice) == {}
    site.grant("alice@pbs", {"/datastore/store/a": "DatastoreAudit"})
    grant(site.root, path="/system/tasks", role="Audit", propagate=False)
    assert permissions(alice) == {
        "/datastore/store/a": {"Datastore.Audit": True},
        "/system/tasks": {"Sys.Audit": False, "Datastore.Audit": False},
    }
    assert permissions(alice, path="/datastore/store/a/b") == {"/datastore/store/a/b": {"Datastore.Audit": True}}
    assert permissions(alice, path="/datastore/store") == {}


def test_a_token_has_what_it_and_its_user_have(site: Site) -> None:
    alice = site.user("alice", {"/datastore": "DatastoreAudit"})
    token = site.token(alice, roles={"/datastore/store": "DatastoreAdmin"})
    assert permissions(token, path="/datastore/store") == {"/datastore/store": {"Datastore.Audit": True}}
    assert permissions(token, path="/datastore/other") == {}


def test_who_may_ask_about_whom(site: Site) -> None:
    alice = site.user("alice")
    site.token(alice)
    site.user("bob")
    assert permissions(alice, **{"auth-id": "alice@pbs!tok"}) == {}
    assert alice.get("/access/permissions", {"auth-id": "bob@pbs"}).status == 400
    auditor = site.user("auditor", {"/access": "Audit"})
    assert permissions(auditor, **{"auth-id": "bob@pbs"}) == {}
