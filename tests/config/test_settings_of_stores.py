"""What can be set on a datastore: maintenance, tuning, notification (spec rest-api §2.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from platevault.config.database import open_database
from platevault.config.datastores import (
    DatastoreConfig,
    DatastoreConfigs,
    Maintenance,
    check_notify,
    check_tuning,
    normal_maintenance,
    parse_maintenance,
    tuning_of,
)
from platevault.errors import Invalid


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("offline", Maintenance("offline")),
        ("read-only,message=disk swap", Maintenance("read-only", "disk swap")),
        ('type=read-only,message="a, b"', Maintenance("read-only", "a, b")),
        ("delete", Maintenance("delete")),
        ("unmount", Maintenance("unmount")),
        ("s3-refresh", Maintenance("s3-refresh")),
    ],
)
def test_maintenance(text: str, found: Maintenance) -> None:
    assert parse_maintenance(text) == found
    assert DatastoreConfig("a", "/a", maintenance_mode=text).maintenance == found


@pytest.mark.parametrize("text", ["", "off", "message=x", "offline,reason=x", "offline,offline", "type=offline,type=offline"])
def test_what_is_no_maintenance(text: str) -> None:
    with pytest.raises(Invalid):
        parse_maintenance(text)


def test_no_maintenance() -> None:
    assert DatastoreConfig("a", "/a").maintenance is None


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("offline", "offline"),
        ("type=offline", "offline"),
        ('message="disk swap",type=read-only', "read-only,message=disk swap"),
        ('offline,message="a, b"', 'offline,message="a, b"'),
        ("offline,message=", "offline,message="),
    ],
)
def test_what_users_set(text: str, stored: str) -> None:
    assert normal_maintenance(text) == stored
    assert parse_maintenance(stored) == parse_maintenance(text)


@pytest.mark.parametrize("mode", ["delete", "unmount", "s3-refresh"])
def test_modes_that_the_server_sets(mode: str) -> None:
    with pytest.raises(Invalid, match="server only"):
        normal_maintenance(mode)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chunk-order=inode",
        "chunk-order=none,sync-level=file",
        "gc-atime-cutoff=1",
        "gc-atime-cutoff=2880,gc-cache-capacity=0",
        "gc-atime-safety-check=off",
        "gc-atime-safety-check=1",
        "default-verification-workers=32,default-verification-readers=1",
    ],
)
def test_tuning(text: str) -> None:
    assert check_tuning(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "x=1",
        "chunk-order=random",
        "sync-level=always",
        "gc-atime-cutoff=0",
        "gc-atime-cutoff=2881",
        "gc-atime-cutoff=-5",
        "gc-atime-cutoff=1.5",
        "gc-atime-cutoff=²",
        "gc-cache-capacity=8388609",
        "gc-atime-safety-check=maybe",
        "default-verification-workers=33",
        "sync-level",
    ],
)
def test_what_is_no_tuning(text: str) -> None:
    with pytest.raises(Invalid):
        check_tuning(text)


def test_tuning_of_a_store() -> None:
    assert tuning_of(DatastoreConfig("a", "/a", tuning="sync-level=file")) == {"sync-level": "file"}
    assert tuning_of(DatastoreConfig("a", "/a")) == {}


@pytest.mark.parametrize("text", ["gc=never", "gc=always,verify=error,sync=never,prune=always"])
def test_notification(text: str) -> None:
    assert check_notify(text) == text


@pytest.mark.parametrize("text", ["gc=sometimes", "backup=never", "never"])
def test_what_is_no_notification(text: str) -> None:
    with pytest.raises(Invalid):
        check_notify(text)


def test_a_config_comes_back(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    full = DatastoreConfig(
        "store", "/srv/ä", comment="x", gc_schedule="daily", verify_new=False, maintenance_mode="offline", tuning="sync-level=file"
    )
    DatastoreConfigs(database).insert(full)
    assert DatastoreConfigs(database).get("store") == full
    database.close()
