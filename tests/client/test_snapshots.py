from __future__ import annotations

from typing import Any

import pytest

from platevault.client.answers import items_of, object_of
from platevault.client.rest import MalformedAnswer, RestClient
from platevault.client.snapshots import file_names, list_snapshots, name_of, parts, resolve_snapshot
from platevault.errors import Invalid, NotFound


class Listing(RestClient):
    """A REST client that lists what the test says."""

    def __init__(self, data: object) -> None:
        self.data = data
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str, **parameters: object) -> Any:
        self.asked.append((path, parameters))
        return self.data


def item(time: int, *, finished: bool = True, group: str = "a", names: bool = False) -> dict[str, Any]:
    files: list[Any] = [{"filename": "disk.img.fidx"}, *([{"filename": "index.json.blob"}] if finished else [])]
    return {
        "backup-type": "host",
        "backup-id": group,
        "backup-time": time,
        "files": [file["filename"] for file in files] if names else files,
    }


def test_lists_are_in_order_and_of_the_group() -> None:
    listing = Listing([item(3), item(1), item(2, group="10"), item(1, group="9")])
    found = list_snapshots(listing, "store", "a/b")
    assert [(one["backup-id"], one["backup-time"]) for one in found] == [("9", 1), ("10", 2), ("a", 1), ("a", 3)]
    assert listing.asked == [("admin/datastore/store/snapshots", {"ns": "a/b"})]


@pytest.mark.parametrize("names", [True, False], ids=["as names", "as objects"])
def test_a_group_means_its_newest_finished_snapshot(names: bool) -> None:
    listing = Listing([item(1, names=names), item(9, finished=False, names=names), item(5, names=names)])
    found = resolve_snapshot(lambda: listing, "store", None, "host/a")
    assert (str(found), found.time) == ("host/a/1970-01-01T00:00:05Z", 5)
    assert parts(found) == {"backup_type": "host", "backup_id": "a", "backup_time": 5}


def test_a_whole_name_asks_nobody() -> None:
    def ask() -> RestClient:
        raise AssertionError

    assert str(resolve_snapshot(ask, "store", None, "vm/100/2023-11-14T22:13:20Z")) == "vm/100/2023-11-14T22:13:20Z"
    with pytest.raises(Invalid):
        resolve_snapshot(ask, "store", None, "vm/100/yesterday")


@pytest.mark.parametrize("data", [[], [item(9, finished=False)]])
def test_a_group_without_finished_snapshots(data: list[Any]) -> None:
    with pytest.raises(NotFound, match="host/a has no finished snapshot"):
        resolve_snapshot(lambda: Listing(data), "store", None, "host/a")


def test_files_of_every_shape() -> None:
    assert file_names({"files": ["a", {"filename": "b"}, {}]}) == ["a", "b", "None"]
    assert file_names({"files": None}) == file_names({}) == file_names({"files": "text"}) == []
    assert name_of(item(5)).time == 5


@pytest.mark.parametrize("data", [None, {}, "x", [None], [{}], [{"backup-type": "host", "backup-id": "a", "backup-time": True}]])
def test_what_is_no_list_of_snapshots(data: object) -> None:
    with pytest.raises(MalformedAnswer, match="snapshots: "):
        list_snapshots(Listing(data), "store", None)


def test_answers_may_have_more_keys_than_are_needed() -> None:
    assert items_of("x", [{"a-b": 1, "more": 2}], a_b=int) == [{"a-b": 1, "more": 2}]
    assert object_of("x", {"a": "text"}, a=str) == {"a": "text"}
    with pytest.raises(MalformedAnswer, match="x: 'a-b' is missing"):
        object_of("x", {"a-b": "1"}, a_b=int)
