"""Disks of the machine from made-up /sys and udev files."""

from __future__ import annotations

from pathlib import Path

import pytest

from platevault.services import disks


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three disks: sda with partitions, sdb whole in LVM, sdc unused on USB; and what is no disk."""
    for name in ("SYS_BLOCK", "UDEV_DATA"):
        monkeypatch.setattr(disks, name, tmp_path / name)
    monkeypatch.setattr(disks, "MOUNTS", tmp_path / "mounts")
    block, udev = tmp_path / "SYS_BLOCK", tmp_path / "UDEV_DATA"
    for name, number, size in (("sda", "8:0", 2000), ("sdb", "8:16", 4000), ("sdc", "8:32", 10), ("loop0", "7:0", 1), ("dm-0", "253:0", 1)):
        write(block / name / "dev", number)
        write(block / name / "size", str(size))
    write(block / "sda/queue/rotational", "0\n")
    write(block / "sda/device/model", "Example Model \n")
    write(block / "sda/device/vendor", "ATA\n")
    write(udev / "b8:0", "E:ID_PART_TABLE_TYPE=gpt\nE:ID_SERIAL_SHORT=S1\nE:ID_WWN=0x5\nG:tag\n")
    for part, number, size in (("sda1", "8:1", 100), ("sda2", "8:2", 1900)):
        write(block / "sda" / part / "partition", part[-1])
        write(block / "sda" / part / "dev", number)
        write(block / "sda" / part / "size", str(size))
    write(udev / "b8:1", "E:ID_FS_TYPE=vfat\nE:ID_PART_ENTRY_SCHEME=gpt\nE:ID_PART_ENTRY_UUID=u1\n")
    write(block / "sdb/queue/rotational", "1")
    write(block / "sdb/holders/dm-0", "")
    write(udev / "b8:16", "E:ID_FS_TYPE=LVM2_member\n")
    write(udev / "b8:32", "E:ID_BUS=usb\n")
    write(tmp_path / "mounts", "/dev/sda1 /boot vfat rw 0 0\nproc /proc proc rw 0 0\n")
    return tmp_path


def test_disks_and_what_they_are_used_for(machine: Path) -> None:
    sda, sdb, sdc = (disk.record(with_partitions=True) for disk in disks.list_disks())
    assert {
        key: sda[key] for key in ("name", "devpath", "disk-type", "gpt", "model", "serial", "vendor", "wwn", "size", "used", "status")
    } == {
        "name": "sda",
        "devpath": "/dev/sda",
        "disk-type": "ssd",
        "gpt": True,
        "model": "Example Model",
        "serial": "S1",
        "vendor": "ATA",
        "wwn": "0x5",
        "size": 2000 * 512,
        "used": "partitions",
        "status": "unknown",
    }
    assert sda["partitions"] == [
        {
            "name": "sda1",
            "devpath": "/dev/sda1",
            "size": 100 * 512,
            "gpt": True,
            "mounted": True,
            "used": "filesystem",
            "filesystem": "vfat",
            "uuid": "u1",
        },
        {"name": "sda2", "devpath": "/dev/sda2", "size": 1900 * 512, "gpt": False, "mounted": False, "used": "unused"},
    ]
    assert (sdb["disk-type"], sdb["used"], sdb["partitions"]) == ("hdd", "lvm", [])
    assert (sdc["disk-type"], sdc["used"], "model" in sdc) == ("usb", "unused", False)


def test_a_whole_disk_that_is_mounted(machine: Path) -> None:
    write(machine / "mounts", "/dev/sdc /media ext4 rw 0 0\n")
    assert [disk.used for disk in disks.list_disks()] == ["partitions", "lvm", "mounted"]


def test_a_machine_that_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "SYS_BLOCK", tmp_path / "none")
    assert disks.list_disks() == []
