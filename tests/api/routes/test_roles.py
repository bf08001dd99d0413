"""Roles and realms (spec rest-api §6.1, §6.2, §10.2)."""

from __future__ import annotations

from kit.site import Site
from platevault.services.roles import PRIVILEGES


def test_all_roles_with_their_privileges(shared_site: Site) -> None:
    roles = {item["roleid"]: item["privs"] for item in shared_site.user("reader").get("/access/roles").data}
    assert len(roles) == 18
    assert (roles["Admin"], roles["NoAccess"]) == (list(PRIVILEGES), [])
    assert set(roles["DatastoreBackup"]) == {"Datastore.Backup"}
    assert set(roles["DatastoreReader"]) == {"Datastore.Audit", "Datastore.Verify", "Datastore.Read"}


def test_login_forms_see_the_realms(shared_site: Site) -> None:
    answer = shared_site.anonymous.get("/access/domains")
    assert [(item["realm"], item["type"]) for item in answer.data] == [("pam", "pam"), ("pbs", "pbs")]
    assert len(answer.envelope["digest"]) == 64


def test_one_realm(shared_site: Site) -> None:
    for realm in ("pam", "pbs"):
        answer = shared_site.root.get(f"/config/access/{realm}")
        assert (answer.data["realm"], answer.data["type"], len(answer.envelope["digest"])) == (realm, realm, 64)
