"""What answers, and whether it answers at all (spec rest-api §10.1)."""

from __future__ import annotations

import re

from kit.site import Site


def test_the_version_has_the_form_that_clients_read(shared_site: Site) -> None:
    data = shared_site.user("alice").get("/version").data
    assert set(data) == {"version", "release", "repoid"}
    assert re.fullmatch(r"\d+\.\d+", data["version"])
    assert re.fullmatch(r"\d+", data["release"])


def test_a_sign_of_life_needs_no_login(shared_site: Site) -> None:
    assert shared_site.anonymous.get("/ping").data == {"pong": True}
    assert shared_site.anonymous.get("/ping", output="extjs").envelope == {"data": {"pong": True}, "success": True, "status": 200}
