"""Namespaces (spec rest-api §10.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kit.asgi import Session
from kit.backups import NOON, backup, snapshot
from kit.site import STORE, Site
from platevault.formats.names import Namespace

PATH = f"/admin/datastore/{STORE}/namespace"
PLACE = f"/datastore/{STORE}"


def listed(by: Session, **query: Any) -> list[str]:
    return [item["ns"] for item in by.get(PATH, {name.replace("_", "-"): value for name, value in query.items()}).data]


@pytest.fixture
def tree(site: Site) -> Site:
    """a, a/b, a/b/c, d."""
    for text in ("a/b/c", "d"):
        site.store.create_namespace(Namespace.parse(text))
    return site


def test_the_start_is_in_the_list(tree: Site) -> None:
    assert listed(tree.root) == ["", "a", "a/b", "a/b/c", "d"]
    assert listed(tree.root, parent="") == listed(tree.root)
    assert listed(tree.root, parent="a/b") == ["a/b", "a/b/c"]
    assert listed(tree.root, parent="none") == ["none"]


@pytest.mark.parametrize(("depth", "names"), [(0, ["a"]), (1, ["a", "a/b"]), (2, ["a", "a/b", "a/b/c"])])
def test_depth(tree: Site, depth: int, names: list[str]) -> None:
    assert listed(tree.root, parent="a", max_depth=depth) == names


@pytest.mark.parametrize("query", [{"max-depth": -1}, {"max-depth": 8}, {"parent": "a//b"}])
def test_bad_queries(tree: Site, query: dict[str, Any]) -> None:
    assert tree.root.get(PATH, query).status == 400


def test_only_what_can_be_seen_is_listed(tree: Site) -> None:
    alice = tree.user("alice", {f"{PLACE}/a/b": "DatastoreReader"})
    assert listed(alice, parent="a/b") == ["a/b", "a/b/c"]
    assert listed(alice) == ["", "a", "a/b", "a/b/c"]  # the way there, and not d
    assert tree.user("bob").get(PATH).status == 403


@pytest.mark.parametrize("send", ["form", "json_body"])
def test_creation_answers_with_the_whole_path(tree: Site, send: str) -> None:
    body: Any = {"parent": "a/b", "name": "new"}
    assert tree.root.request("POST", PATH, **{send: body}).data == "a/b/new"
    assert "a/b/new" in listed(tree.root)
    assert tree.root.request("POST", PATH, **{send: body}).data == "a/b/new"


@pytest.mark.parametrize("name", ["", "a/b", "-a", ".a", "a b", "x" * 33])
def test_names_that_are_none(tree: Site, name: str) -> None:
    assert tree.root.post(PATH, {"name": name}).status == 400


def test_a_parent_must_be_there(tree: Site) -> None:
    answer = tree.root.post(PATH, {"name": "x", "parent": "none"})
    assert (answer.status, answer.text) == (400, "cannot create new namespace, parent none doesn't already exists")


def test_seven_levels_and_no_more(site: Site) -> None:
    path = ""
    for level in range(1, 8):
        path = site.root.post(PATH, {"name": f"l{level}", "parent": path}).data
    assert path == "l1/l2/l3/l4/l5/l6/l7"
    assert site.root.post(PATH, {"name": "l8", "parent": path}).status == 400


def test_only_who_may_modify_creates_and_removes(tree: Site) -> None:
    alice = tree.user("alice", {f"{PLACE}/a": "DatastoreAdmin", PLACE: "DatastoreReader"})
    assert alice.post(PATH, {"name": "x", "parent": "a"}).status == 200
    refused = alice.post(PATH, {"name": "x"})
    assert (refused.status, refused.text) == (403, f"permission check failed - missing Datastore.Modify on {PLACE}")
    assert alice.delete(PATH, {"ns": "a/x"}).status == 200
    assert alice.delete(PATH, {"ns": "a"}).status == 403  # that is up to who may modify its parent


NOTHING = {"removed-groups": 0, "protected-snapshots": 0, "removed-snapshots": 0}


def test_empty_ones_are_removed_with_what_is_below(tree: Site) -> None:
    assert tree.root.delete(PATH, {"ns": "a"}).data == NOTHING
    assert listed(tree.root) == ["", "d"]
    assert tree.root.delete(PATH, {"ns": "a"}).data == NOTHING


def test_the_root_stays(tree: Site) -> None:
    answer = tree.root.delete(PATH, {"ns": ""})
    assert (answer.status, answer.text) == (400, "Cannot create/delete root namespace!")


def test_groups_need_a_word(tree: Site) -> None:
    backup(tree.store, snapshot("host/x", NOON), ns=Namespace.parse("a/b"))
    backup(tree.store, snapshot("host/x", NOON + 60), ns=Namespace.parse("a/b"))
    backup(tree.store, snapshot("vm/1", NOON), ns=Namespace.parse("a"))
    answer = tree.root.delete(PATH, {"ns": "a"})
    assert answer.status == 400
    assert answer.text.startswith("only partially deleted due to existing groups but `delete-groups` not true")
    assert listed(tree.root, parent="a") == ["a", "a/b"]
    found = tree.root.delete(PATH, {"ns": "a", "delete-groups": 1}).data
    assert found == {"removed-groups": 2, "protected-snapshots": 0, "removed-snapshots": 3}
    assert listed(tree.root) == ["", "d"]


def test_protected_snapshots_stay(tree: Site) -> None:
    ns = Namespace.parse("a/b/c")
    kept = backup(tree.store, snapshot("host/x", NOON), ns=ns)
    backup(tree.store, snapshot("host/x", NOON + 60), ns=ns)
    tree.store.set_protected(ns, kept.name, True)
    answer = tree.root.delete(PATH, {"ns": "a", "delete-groups": 1})
    assert (answer.status, "protected snapshots" in answer.text) == (400, True)
    found = tree.root.delete(PATH, {"ns": "a", "delete-groups": 1, "error-on-protected": 0}).data
    assert found == {"removed-groups": 0, "protected-snapshots": 1, "removed-snapshots": 0}
    assert [entry.name for entry in tree.store.snapshots(ns, kept.name.group)] == [kept.name]
