"""Lock names, the table of who excludes whom, the page that shows it, and what the kernel makes of it between processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.backups import backup, snapshot
from kit.fixture_store import VECTORS
from kit.stores import sparse_store
from platevault.clock import ManualClock, SystemClock
from platevault.formats.names import ROOT, BackupType, GroupName, Namespace, SnapshotName
from platevault.store.filesystem.lock_files import Locked, LockFiles, lock_path
from platevault.store.filesystem.process_lock import StoreBusy
from platevault.store.locks import Operation, excludes

PAGE = Path(__file__).parents[2] / "docs" / "design" / "locks.md"
LONG = "abcdefghij-" * 19 + "abcdefghij"


@pytest.mark.parametrize(
    ("ns", "relative", "expected"),
    [
        ("", "vm/100", "vm-100"),
        ("", "vm/100/2022-05-02T08:11:33Z", r"vm-100-2022\x2d05\x2d02T08\x3a11\x3a33Z"),
        ("", "vm/100/2022-05-02T08:11:33Z/.index.json.lck", r"vm-100-2022\x2d05\x2d02T08\x3a11\x3a33Z-.index.json.lck"),
        ("ns1/ns2/ns3", "vm/100", "ns1:ns2:ns3/vm-100"),
        ("prod/db_1", "host/web-01.example.com", r"prod:db_1/host-web\x2d01.example.com"),
        ("", "host/_under..dots", "host-_under..dots"),
        (
            "a",
            f"host/{LONG}",
            r"a/hashed/host-abcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcde..."
            r"abcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcdefghij\x2dabcdefghij-"
            "9dc4e22673ce7f4a87b042bf609bef1025cd01855c9431a1b15a0d1aa40a346c",
        ),
    ],
)
def test_lock_names_are_those_of_the_reference(ns: str, relative: str, expected: str) -> None:
    assert lock_path(Namespace.parse(ns), relative) == expected


def test_the_reference_used_these_names() -> None:
    recorded = {line.split(" ", 4)[4] for line in (VECTORS / "locks.txt").read_text().splitlines() if line.startswith("f")}
    name = SnapshotName(GroupName(BackupType.HOST, "healed"), 1749040496)
    for text in (str(name.group), str(name), f"{name}/.index.json.lck"):
        assert f"run/proxmox-backup/locks/fix/{lock_path(Namespace.parse('ns1/sub'), text)}" in recorded


def test_the_page_shows_the_table() -> None:
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    operations = list(Operation)
    assert rows[0][1:] == [operation.value for operation in operations]
    for operation, row in zip(operations, rows[2 : 2 + len(operations)], strict=True):
        assert row == [operation.value, *((excludes(operation, other) or "–") for other in operations)]


def test_exclusion_is_mutual() -> None:
    assert all(excludes(one, other) == excludes(other, one) for one in Operation for other in Operation)


def test_a_removed_lock_file_is_no_lock(tmp_path: Path) -> None:
    locks = LockFiles(tmp_path, SystemClock())
    name = snapshot()
    held = locks.snapshot(ROOT, name, shared=False)
    waiting = os.open(held.path, os.O_RDWR)
    held.remove()
    assert not held.path.exists()
    with locks.snapshot(ROOT, name, shared=False) as again:
        assert os.fstat(waiting).st_ino != again.path.stat().st_ino or os.fstat(waiting).st_nlink == 0
    os.close(waiting)


def test_a_manifest_lock_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    class Impatient(ManualClock):
        def monotonic(self) -> float:
            self.advance(1)
            return super().monotonic()

    locks = LockFiles(tmp_path, Impatient())
    with locks.manifest(ROOT, snapshot()), pytest.raises(Locked, match="manifest"):
        locks.manifest(ROOT, snapshot())
    locks.manifest(ROOT, snapshot()).release()


def test_lock_files_have_the_mode_of_the_reference(tmp_path: Path) -> None:
    with LockFiles(tmp_path, SystemClock()).group(ROOT, snapshot().group) as lock:
        assert lock.path.stat().st_mode & 0o777 == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_lock_files_belong_to_the_owner_of_the_store(tmp_path: Path) -> None:
    locks = LockFiles(tmp_path / "locks" / "store", SystemClock(), owner=(1234, 1235))
    with locks.group(Namespace.parse("a/b"), snapshot().group) as lock:
        for path in (lock.path, lock.path.parent, tmp_path / "locks" / "store"):
            assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)
    assert (tmp_path / "locks").stat().st_uid == 0
    locks.group(ROOT, GroupName.parse(f"host/{LONG}")).release()
    assert (tmp_path / "locks" / "store" / "hashed").stat().st_uid == 1234


def test_a_lock_file_may_not_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "host-a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="links"):
        LockFiles(tmp_path, SystemClock()).group(ROOT, snapshot().group)
    assert not (tmp_path / "elsewhere").exists()


OTHER_PROCESS = """
import fcntl, sys
file = open(sys.argv[1], "r+")
try:
    fcntl.lockf(file, (fcntl.LOCK_EX if sys.argv[2] == "exclusive" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
except OSError:
    sys.exit(1)
if sys.argv[3:]:
    print("locked", flush=True)
    sys.stdin.readline()
"""


def other_process_gets(path: Path, kind: str) -> bool:
    return subprocess.run([sys.executable, "-c", OTHER_PROCESS, path / ".lock", kind], check=False).returncode == 0


def test_other_processes_see_the_hold_until_the_last_one_ends(tmp_path: Path) -> None:
    store = sparse_store(tmp_path)
    path = tmp_path / "store"
    first, second = store.hold_for_writing(), store.hold_for_writing()
    assert other_process_gets(path, "shared")
    assert not other_process_gets(path, "exclusive")
    sparse_store(tmp_path).close()  # a second object for the same directory must not take the lock away with it
    first.release()
    first.release()
    assert not other_process_gets(path, "exclusive")
    with store.hold_for_collection():
        assert not other_process_gets(path, "shared")
    assert not other_process_gets(path, "exclusive")
    second.release()
    assert other_process_gets(path, "exclusive")


@pytest.mark.parametrize("kind", ["shared", "exclusive"])
def test_a_writer_elsewhere_stops_collection(tmp_path: Path, kind: str) -> None:
    store = sparse_store(tmp_path)
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "store" / ".lock"), kind, "stay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(StoreBusy, match="another process"):
            store.hold_for_collection()
        if kind == "exclusive":
            with pytest.raises(StoreBusy):
                backup(store)
        else:
            backup(store)
        other.communicate("\n")
    store.hold_for_collection().release()


def test_two_objects_share_one_process_lock(tmp_path: Path) -> None:
    one, two = sparse_store(tmp_path), sparse_store(tmp_path)
    with one.hold_for_collection():
        with pytest.raises(StoreBusy):
            two.hold_for_collection()
        with two.hold_for_writing():
            assert one.oldest_writer() is not None


def test_the_page_names_the_lock_files() -> None:
    assert re.search(r"\[a:b/\]vm-100", PAGE.read_text())
