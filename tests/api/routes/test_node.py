"""The machine: identity, status, curves, time, certificate (spec rest-api §8.2, §10.17)."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from kit.site import Site, open_site

NODE = "/nodes/localhost"


@pytest.mark.parametrize("node", ["localhost", "pbs1", "Some-Other-Host", "x"])
def test_any_node_name_is_this_node(shared_site: Site, node: str) -> None:
    assert shared_site.root.get(f"/nodes/{node}/time").status == 200


@pytest.mark.parametrize("node", ["not%20a%20host", "-dash", "dash-", "with.dot", "a%2Fb"])
def test_what_is_no_node_name(shared_site: Site, node: str) -> None:
    assert shared_site.root.get(f"/nodes/{node}/time").status == 400


def test_the_list_is_for_the_superuser(shared_site: Site) -> None:
    assert shared_site.root.get("/nodes").data == [{"node": "testnode"}]
    boss = shared_site.user("boss", {"/": "Admin"})
    assert boss.get("/nodes").status == 403


def test_the_identity_stays(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        first = site.user("alice").get(f"{NODE}/identity").data
        assert re.fullmatch("[0-9a-f]{32}", first["pbs-instance-id"])
        assert site.root.get("/nodes/other/identity").data == first
    with open_site(tmp_path) as site:
        assert site.root.get(f"{NODE}/identity").data == first


def test_status(shared_site: Site) -> None:
    data = shared_site.root.get(f"{NODE}/status").data
    assert set(data) == {
        "boot-info",
        "cpu",
        "cpuinfo",
        "current-kernel",
        "info",
        "kversion",
        "loadavg",
        "memory",
        "root",
        "swap",
        "uptime",
        "wait",
    }
    kernel = data["current-kernel"]
    assert data["kversion"] == f"{kernel['sysname']} {kernel['release']} {kernel['version']}"
    assert data["info"] == {"fingerprint": shared_site.services.certificate.fingerprint}
    assert 0 <= data["cpu"] <= 1
    assert len(data["loadavg"]) == 3
    assert data["memory"]["total"] == data["memory"]["used"] + data["memory"]["free"] > 0
    assert data["boot-info"]["mode"] in ("efi", "legacy-bios")
    assert type(data["uptime"]) is int


@pytest.mark.parametrize(
    ("timeframe", "step"), [("hour", 60), ("day", 60), ("week", 1800), ("month", 1800), ("year", 21600), ("decade", 604800)]
)
def test_curves(shared_site: Site, timeframe: str, step: int) -> None:
    shared_site.app.sampler.take()
    items = shared_site.root.get(f"{NODE}/rrd", {"timeframe": timeframe, "cf": "AVERAGE"}).data
    assert {later["time"] - earlier["time"] for earlier, later in pairwise(items)} == {step}
    assert {"cpu", "iowait", "loadavg", "memtotal", "memused", "swaptotal", "swapused", "total", "used"} < set(items[-1])
    assert len(items) >= 2


@pytest.mark.parametrize("query", [{}, {"cf": "AVERAGE"}, {"timeframe": "hour"}, {"cf": "average", "timeframe": "hour"}])
def test_curves_need_both_parameters(shared_site: Site, query: dict[str, str]) -> None:
    assert shared_site.root.get(f"{NODE}/rrd", query).status == 400


def test_json_content_hides_the_query(shared_site: Site) -> None:
    query = {"cf": "AVERAGE", "timeframe": "hour"}
    assert shared_site.root.get(f"{NODE}/rrd", query, content_type="application/json").status == 400


def test_time(shared_site: Site) -> None:
    data = shared_site.root.get(f"{NODE}/time").data
    assert set(data) == {"timezone", "time", "localtime"}
    assert data["time"] == int(shared_site.clock.now())
    assert (data["localtime"] - data["time"]) % 900 == 0


def test_the_certificate(shared_site: Site) -> None:
    [item] = shared_site.root.get(f"{NODE}/certificates/info").data
    assert set(item) == {
        "filename",
        "fingerprint",
        "issuer",
        "notafter",
        "notbefore",
        "pem",
        "public-key-bits",
        "public-key-type",
        "san",
        "subject",
    }
    assert item["fingerprint"] == shared_site.services.certificate.fingerprint
    assert item["pem"].startswith("-----BEGIN CERTIFICATE-----")


def test_no_setting_of_the_node_is_set(shared_site: Site) -> None:
    answer = shared_site.root.get(f"{NODE}/config")
    assert (answer.data, len(answer.envelope["digest"])) == ({}, 64)
    assert shared_site.root.put(f"{NODE}/config", {"description": "x"}).status == 404
