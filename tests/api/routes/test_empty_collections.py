"""Collections whose features come later are empty, and nothing can be put into them."""

from __future__ import annotations

import pytest

from kit.site import Site

PATHS = {
    "/config/traffic-control": "Admin",
    "/admin/traffic-control": "Audit",
    "/admin/metrics": "Audit",
    "/config/notifications/targets": "Audit",
}


@pytest.mark.parametrize(("path", "role"), PATHS.items())
def test_empty_and_closed(site: Site, path: str, role: str) -> None:
    assert site.root.get(path).data == []
    assert site.root.post(path, {"name": "new"}).status == 404
    assert site.user("may", {"/": role}).get(path).status == 200
    assert site.user("may-not", {"/": "DatastoreAdmin"}).get(path).status == 403
