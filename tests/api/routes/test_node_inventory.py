"""What monitoring asks about a machine besides its figures (spec rest-api §10.20 to §10.23)."""

from __future__ import annotations

import pytest

from kit.site import Site
from platevault.services.disks import Disk

NODE = "/nodes/localhost"
DISKS = [Disk("sda", 1000, "ssd", True, "partitions", model="M"), Disk("sdb", 2000, "hdd", False, "unused")]


def test_nothing_is_managed_here(shared_site: Site) -> None:
    assert shared_site.root.get(f"{NODE}/services").data == []
    assert shared_site.root.get(f"{NODE}/apt/update").data == []


def test_a_subscription_is_neither_there_nor_needed(shared_site: Site) -> None:
    data = shared_site.root.get(f"{NODE}/subscription").data
    assert (data["status"], data["serverid"]) == ("notfound", shared_site.services.instance_id.upper())
    assert set(shared_site.user("alice").get(f"{NODE}/subscription").data) == {"status", "message"}


def test_disks(shared_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platevault.api.routes.node_inventory.list_disks", lambda: DISKS)
    first, second = shared_site.root.get(f"{NODE}/disks/list", {"skipsmart": 1}).data
    assert first == {
        "name": "sda",
        "devpath": "/dev/sda",
        "disk-type": "ssd",
        "gpt": True,
        "model": "M",
        "size": 1000,
        "status": "unknown",
        "used": "partitions",
    }
    assert shared_site.root.get(f"{NODE}/disks/list", {"usage-type": "unused"}).data == [second]
    assert shared_site.root.get(f"{NODE}/disks/list", {"include-partitions": 1}).data[0]["partitions"] == []
    assert shared_site.root.get(f"{NODE}/disks/list", {"usage-type": "x"}).status == 400


def test_the_disks_of_this_machine_can_be_listed(shared_site: Site) -> None:
    for item in shared_site.root.get(f"{NODE}/disks/list").data:
        assert {"name", "devpath", "disk-type", "gpt", "size", "status", "used"} <= set(item)


@pytest.mark.parametrize("tail", ["services", "apt/update", "disks/list"])
def test_who_may_look(shared_site: Site, tail: str) -> None:
    name = f"looker-{tail.replace('/', '-')}"
    assert shared_site.user(name).get(f"{NODE}/{tail}").status == 403
    assert shared_site.user(f"{name}-2", {"/": "Audit"}).get(f"{NODE}/{tail}").status == 200
