"""Directory indexes and what is empty for now."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from kit.site import Site

UPID = "UPID:testnode:00000001:00000001:00000001:5F5E1000:verify:none:root@pam:"


def names(site: Site, path: str) -> list[str]:
    return [item["subdir"] for item in site.user(f"u{len(site.services.accounts.users.all())}").get(path).data]


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root(shared_site: Site, path: str) -> None:
    found = names(shared_site, path)
    assert found == sorted(found)
    assert {"access", "admin", "backup", "config", "nodes", "ping", "reader", "status", "version"} <= set(found)


@pytest.mark.parametrize(
    ("path", "some"),
    [
        ("/access", {"ticket", "users", "acl"}),
        ("/admin", {"datastore", "gc", "prune", "sync", "verify"}),
        ("/admin/datastore/store", {"snapshots", "groups", "gc"}),
        ("/admin/prune/job", {"run"}),
        ("/nodes/localhost", {"status", "tasks", "time"}),
        (f"/nodes/localhost/tasks/{quote(UPID, safe='')}", {"log", "status"}),
        ("/config", {"datastore", "prune"}),
        ("/status", {"datastore-usage"}),
    ],
)
def test_what_is_below(shared_site: Site, path: str, some: set[str]) -> None:
    assert some <= set(names(shared_site, path))


@pytest.mark.parametrize("path", ["/nodes/a.b", "/admin/datastore/x", "/nodes/localhost/tasks/x"])
def test_placeholders_are_checked(shared_site: Site, path: str) -> None:
    assert shared_site.root.get(path).status == 400
