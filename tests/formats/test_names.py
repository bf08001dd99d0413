"""Names: what may become a path, and every text form read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats import names
from platevault.formats.names import ROOT, ArchiveKind, BackupType, GroupName, InvalidName, Namespace, SnapshotName

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "formats" / "names.json").read_text())

SAFE = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,20}", fullmatch=True)
NAMESPACES = st.lists(SAFE, max_size=7).map(lambda parts: Namespace(tuple(parts)))
GROUPS = st.builds(GroupName, st.sampled_from(BackupType), SAFE)
SNAPSHOTS = st.builds(SnapshotName, GROUPS, st.integers(1, names.MAX_TIME))
# What somebody tries who wants another file: separators, dots, line ends, control characters, digits of other scripts.
HOSTILE = st.text(st.sampled_from("ab1._-/\\:\n\r\0 ~*?\u0661é\ud800"), max_size=12)


@pytest.mark.parametrize("case", VECTORS["time"], ids=lambda case: case["text"])
def test_times(case: dict[str, Any]) -> None:
    assert names.format_time(case["epoch"]) == case["text"]
    assert names.parse_time(case["text"]) == case["epoch"]


@given(st.integers(1, names.MAX_TIME))
def test_every_time_is_read_back(epoch: int) -> None:
    text = names.format_time(epoch)
    assert len(text) == 20
    assert names.parse_time(text) == epoch


@pytest.mark.parametrize("epoch", [0, -1, names.MAX_TIME + 1, 2**63])
def test_a_time_outside_of_the_format_is_refused(epoch: int) -> None:
    with pytest.raises(InvalidName):
        names.format_time(epoch)
    with pytest.raises(InvalidName):
        SnapshotName.make("vm", "100", epoch)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-05-02",
        "2022-05-02T08:11:33",
        "2022-05-02t08:11:33z",
        "2022-05-02T08:11:33+00:00",
        "2022-05-02T08:11:33.0Z",
        "2022-05-02T08:11:33Z\n",
        " 2022-05-02T08:11:33Z",
        "2022-13-02T08:11:33Z",
        "2022-00-02T08:11:33Z",
        "2022-02-30T08:11:33Z",
        "2023-02-29T08:11:33Z",
        "2022-05-00T08:11:33Z",
        "2022-05-02T24:00:00Z",
        "2022-05-02T08:60:33Z",
        "2022-05-02T08:11:60Z",
        "2022-05-02T08:11:61Z",
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2022-05-02T08:11:٣٣Z",
    ],
)
def test_no_other_time_is_accepted(text: str) -> None:
    with pytest.raises(InvalidName):
        names.parse_time(text)


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", fullmatch=True))
def test_a_time_is_accepted_only_in_its_own_form(text: str) -> None:
    try:
        epoch = names.parse_time(text)
    except InvalidName:
        return
    assert names.format_time(epoch) == text


@pytest.mark.parametrize("case", VECTORS["snapshot_paths"], ids=lambda case: case["path"])
def test_snapshot_paths(case: dict[str, Any]) -> None:
    ns = Namespace.parse("/".join(case["ns"]))
    name = SnapshotName.make(case["type"], case["id"], case["time"])
    assert "/".join(filter(None, (ns.relative_path, str(name)))) == case["path"]
    assert SnapshotName.parse(str(name)) == name


@given(SNAPSHOTS, NAMESPACES)
def test_every_name_is_read_back(snapshot: SnapshotName, ns: Namespace) -> None:
    assert SnapshotName.parse(str(snapshot)) == snapshot
    assert GroupName.parse(str(snapshot.group)) == snapshot.group
    assert Namespace.parse(str(ns)) == ns


@given(HOSTILE | st.text(max_size=20))
def test_no_text_becomes_a_dangerous_path(text: str) -> None:
    """Whatever is accepted consists of components that stay where they are."""
    for parse in (Namespace.parse, GroupName.parse, SnapshotName.parse, names.check_archive_name, names.check_store_name):
        try:
            accepted = str(parse(text))
        except InvalidName:
            continue
        for part in accepted.split("/") if accepted else ():
            assert part not in ("", ".", "..")
            assert part.isascii()
            assert part.isprintable()
            assert not part.startswith((".", "-"))


@given(HOSTILE, HOSTILE)
def test_two_texts_are_a_group_or_our_error(backup_type: str, backup_id: str) -> None:
    for value in (backup_type, "vm"):
        try:
            GroupName.make(value, backup_id)
        except InvalidName:
            continue
        assert names.SAFE_ID.fullmatch(backup_id)


@pytest.mark.parametrize(
    "text", ["", "vm", "vm/", "/100", "vm/100/", "VM/100", "qemu/100", "vm/.hidden", "vm/-x", "vm/a b", "vm/100\n", "vm/.."]
)
def test_these_are_no_groups(text: str) -> None:
    with pytest.raises(InvalidName):
        GroupName.parse(text)


@pytest.mark.parametrize(
    "text",
    ["vm/100", "100/2022-05-02T08:11:33Z", "ns/a/vm/100/2022-05-02T08:11:33Z", "vm/100/2022-05-02T08:11:33Z/", "vm//2022-05-02T08:11:33Z"],
)
def test_these_are_no_snapshots(text: str) -> None:
    with pytest.raises(InvalidName):
        SnapshotName.parse(text)


@pytest.mark.parametrize("text", ["/", "a/", "/a", "a//b", "a/../b", "a/.b", "a b", "ä", "a/b/c/d/e/f/g/h", "a" * 257, "a/" + "b" * 255])
def test_these_are_no_namespaces(text: str) -> None:
    with pytest.raises(InvalidName):
        Namespace.parse(text)


def test_a_namespace_has_at_most_seven_levels_and_256_characters() -> None:
    deep = Namespace.parse("a/b/c/d/e/f/g")
    assert deep.depth == 7
    with pytest.raises(InvalidName):
        deep.child("h")
    assert Namespace.parse("a" * 256).depth == 1
    with pytest.raises(InvalidName):
        Namespace.parse("a" * 250).child("b" * 6)


def test_namespaces_know_their_relations() -> None:
    inner = Namespace.parse("a/b")
    assert (inner.name, str(inner.parent), str(inner.child("c"))) == ("b", "a", "a/b/c")
    assert (ROOT.name, ROOT.parent, ROOT.relative_path, ROOT.is_root) == ("", ROOT, "", True)
    assert inner.is_below(inner)
    assert inner.is_below(ROOT)
    assert not Namespace.parse("ab/c").is_below(Namespace.parse("a"))


def test_groups_are_listed_by_type_and_number() -> None:
    texts = ["vm/100", "vm/9", "host/b", "host/a", "ct/101", "host/10", "vm/a100", "vm/" + "9" * 30]
    ordered = [str(group) for group in sorted(map(GroupName.parse, texts), key=lambda group: group.sort_key)]
    assert ordered == ["ct/101", "host/10", "host/a", "host/b", "vm/9", "vm/100", "vm/" + "9" * 30, "vm/a100"]


@pytest.mark.parametrize(
    ("client", "server", "kind"),
    [
        ("root.pxar", "root.pxar.didx", ArchiveKind.DYNAMIC),
        ("root.mpxar", "root.mpxar.didx", ArchiveKind.DYNAMIC),
        ("root.ppxar", "root.ppxar.didx", ArchiveKind.DYNAMIC),
        ("catalog.pcat1", names.CATALOG_NAME, ArchiveKind.DYNAMIC),
        ("drive-scsi0.img", "drive-scsi0.img.fidx", ArchiveKind.FIXED),
        ("qemu-server.conf", "qemu-server.conf.blob", ArchiveKind.BLOB),
        ("client.log", names.CLIENT_LOG_NAME, ArchiveKind.BLOB),
        ("index.json", names.MANIFEST_NAME, ArchiveKind.BLOB),
        ("rsa-encrypted.key", "rsa-encrypted.key.blob", ArchiveKind.BLOB),
    ],
)
def test_archive_names_of_client_and_server(client: str, server: str, kind: ArchiveKind) -> None:
    assert names.server_name(client) == server
    assert names.server_name(server) == server
    assert names.client_name(server) == client
    assert names.archive_kind(server) is kind


@pytest.mark.parametrize(
    "text", ["", "root", "root.pxar", ".fidx", "-a.fidx", "a/b.fidx", "a.FIDX", "a.fidx\n", "a.tmp_fidx", "..blob", "é.blob"]
)
def test_these_are_no_archives(text: str) -> None:
    with pytest.raises(InvalidName):
        names.check_archive_name(text)


@pytest.mark.parametrize("text", ["root", "root.tar", "../root.pxar", "root.pxar\n", ".pxar"])
def test_these_cannot_be_stored(text: str) -> None:
    with pytest.raises(InvalidName):
        names.server_name(text)


@pytest.mark.parametrize(
    ("text", "good"), [("ab", False), ("abc", True), ("a" * 32, True), ("a" * 33, False), ("-ab", False), ("abc\n", False)]
)
def test_names_of_datastores(text: str, good: bool) -> None:
    if good:
        assert names.check_store_name(text) == text
    else:
        with pytest.raises(InvalidName):
            names.check_store_name(text)
