"""UPIDs: recorded ones are read and written alike, any other text raises only InvalidUpid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats.upid import InvalidUpid, Upid, escape_id, unescape_id

# Recorded from a server 4.2.3.
RECORDED = {
    r"UPID:pbs-fixture:0000001B:00046E6D:00000000:6B038FA5:create-datastore:fix:root@pam:": "fix",
    r"UPID:pbs-fixture:0000002C:0005E679:00000019:6B0393BC:prune:wire\x3a\x3ahost-legacy:bob@pbs!pve:": "wire::host/legacy",
    r"UPID:pbs-fixture:0000002C:0005E679:00000084:6B039644:reader:wire\x3ahost-tree\x2dlegacy-686D6600:admin@pbs:": (
        "wire:host/tree-legacy/686D6600"
    ),
    r"UPID:pbs-fixture:00000FD4:00087DC1:0000000B:6B039A0E:move-namespace:fix\x3ans1-sub\x3asite\x2db-moved:admin@pbs:": (
        "fix:ns1/sub:site-b/moved"
    ),
    r"UPID:pbs1:00000C21:100A3B4C5:0000000000000007:6553F2A0:verificationjob::root@pam:": None,
}


@pytest.mark.parametrize(("text", "worker_id"), RECORDED.items())
def test_recorded(text: str, worker_id: str | None) -> None:
    found = Upid.parse(text)
    assert found.worker_id == worker_id
    assert Upid.parse(str(found)) == found
    if ":0000000000000007:" not in text:  # the counter is written as short as the format allows
        assert str(found) == text


def test_all_fields() -> None:
    found = Upid.parse(r"UPID:pbs1:0000A1B2:01C3D4E5:0000002A:68A1B2C3:backup:store1\x3avm-100:root@pam!pve:")
    assert found == Upid("pbs1", 0xA1B2, 0x1C3D4E5, 0x2A, 0x68A1B2C3, "backup", "store1:vm/100", "root@pam!pve")


@given(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9\-]{0,20}[A-Za-z0-9])?", fullmatch=True),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**36 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(lambda text: text.replace("/", "-")),
)
def test_what_was_written_is_read_back(node: str, pid: int, pstart: int, task_id: int, start: int, worker_id: str | None) -> None:
    made = Upid(node, pid, pstart, task_id, start, "backup", worker_id, "jörg@pam!x")
    assert Upid.parse(str(made)) == made


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_ids_are_escaped_and_back(text: str) -> None:
    escaped = escape_id(text)
    assert set(escaped) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-\\")
    assert unescape_id(escaped) == text


def test_escapes() -> None:
    assert escape_id("a/b-c:d é") == r"a-b\x2dc\x3ad\x20\xc3\xa9"
    assert escape_id(".hidden.") == r"\x2ehidden."


GOOD = "UPID:pbs1:0000A1B2:01C3D4E5:0000002A:68A1B2C3:backup:{}:root@pam:"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPID:",
        GOOD.format("x")[:-1],
        GOOD.format("x") + "\n",
        GOOD.format("x").replace("UPID", "upid"),
        GOOD.format("x").replace("0000A1B2", "A1B2"),
        GOOD.format("x").replace("68A1B2C3", "068A1B2C3"),
        GOOD.format("x").replace("pbs1", "-pbs1"),
        GOOD.format("x").replace("pbs1", "../pbs1"),
        GOOD.format("x").replace(":backup:", "::"),
        GOOD.format("x").replace("root@pam", ""),
        GOOD.format("a b"),
        GOOD.format(r"\x"),
        GOOD.format(r"\xzz"),
        GOOD.format(r"\xff"),
        GOOD.format("\ud800"),
        GOOD.format("x").replace("root", "\ud800"),
        GOOD.format("x" * 5000),
    ],
)
def test_these_are_no_upids(text: str) -> None:
    with pytest.raises(InvalidUpid):
        Upid.parse(text)


@given(st.text(max_size=60), st.text(max_size=10))
def test_other_texts_raise_only_our_error(text: str, worker_id: str) -> None:
    for candidate in (text, GOOD.format(worker_id)):
        try:
            found = Upid.parse(candidate)
        except InvalidUpid:
            continue
        assert str(found)
