"""The disks of the machine and what they are used for, from /sys, /proc and the udev database; nothing is opened.

Source: spec rest-api §10.23. Health and wear need SMART tools and their rights, so they are unknown here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYS_BLOCK = Path("/sys/block")
UDEV_DATA = Path("/run/udev/data")
MOUNTS = Path("/proc/self/mounts")
SECTOR_BYTES = 512  # of all sizes in /sys, whatever the disk's own sectors are
# Not disks, or other views of disks that are listed themselves.
LEFT_OUT = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "rbd", "zd")


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. used: a word of the API."""

    name: str
    size: int
    gpt: bool
    mounted: bool
    used: str
    filesystem: str | None = None
    uuid: str | None = None

    def record(self) -> dict[str, Any]:
        values = {
            "name": self.name,
            "devpath": f"/dev/{self.name}",
            "size": self.size,
            "gpt": self.gpt,
            "mounted": self.mounted,
            "used": self.used,
            "filesystem": self.filesystem,
            "uuid": self.uuid,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk; `size` in bytes. What the machine does not tell is None."""

    name: str
    size: int
    kind: str
    gpt: bool
    used: str
    model: str | None = None
    serial: str | None = None
    vendor: str | None = None
    wwn: str | None = None
    partitions: tuple[Partition, ...] = field(default=())

    def record(self, *, with_partitions: bool = False) -> dict[str, Any]:
        """The item of the API."""
        values = {
            "name": self.name,
            "devpath": f"/dev/{self.name}",
            "disk-type": self.kind,
            "gpt": self.gpt,
            "model": self.model,
            "serial": self.serial,
            "vendor": self.vendor,
            "wwn": self.wwn,
            "size": self.size,
            "status": "unknown",
            "used": self.used,
        }
        if with_partitions:
            values["partitions"] = [partition.record() for partition in self.partitions]
        return {key: value for key, value in values.items() if value is not None}


def list_disks() -> list[Disk]:
    """All disks by name; none when the machine does not show them (a container)."""
    mounted = _mounted()
    return [_disk(place, mounted) for place in _places(SYS_BLOCK) if not place.name.startswith(LEFT_OUT)]


def _places(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _disk(place: Path, mounted: frozenset[str]) -> Disk:
    about = _udev(place)
    partitions = tuple(_partitions(place, mounted))
    return Disk(
        name=place.name,
        size=_size(place),
        kind=_kind(place, about),
        gpt=about.get("ID_PART_TABLE_TYPE") == "gpt",
        used=_disk_use(place, about, partitions, mounted),
        model=_text(place / "device/model") or about.get("ID_MODEL"),
        serial=about.get("ID_SERIAL_SHORT") or _text(place / "device/serial"),
        vendor=_text(place / "device/vendor") or about.get("ID_VENDOR"),
        wwn=about.get("ID_WWN") or _text(place / "wwid"),
        partitions=partitions,
    )


def _partitions(place: Path, mounted: frozenset[str]) -> Iterator[Partition]:
    for part in _places(place):
        if not (part / "partition").exists():
            continue
        about = _udev(part)
        yield Partition(
            name=part.name,
            size=_size(part),
            gpt=about.get("ID_PART_ENTRY_SCHEME") == "gpt",
            mounted=part.name in mounted,
            used=_use(about) or ("filesystem" if part.name in mounted else "unused"),
            filesystem=about.get("ID_FS_TYPE"),
            uuid=about.get("ID_PART_ENTRY_UUID"),
        )


def _disk_use(place: Path, about: Mapping[str, str], partitions: tuple[Partition, ...], mounted: frozenset[str]) -> str:
    if place.name in mounted:
        return "mounted"
    if partitions:
        return next((part.used for part in partitions if part.used in ("lvm", "zfs")), "partitions")
    if _places(place / "holders"):
        return _use(about) or "devicemapper"
    return _use(about) or "unused"


def _use(about: Mapping[str, str]) -> str | None:
    kind = about.get("ID_FS_TYPE")
    if kind is None:
        return None
    return {"LVM2_member": "lvm", "zfs_member": "zfs"}.get(kind, "filesystem")


def _kind(place: Path, about: Mapping[str, str]) -> str:
    if about.get("ID_BUS") == "usb":
        return "usb"
    return {"0": "ssd", "1": "hdd"}.get(_text(place / "queue/rotational") or "", "unknown")


def _size(place: Path) -> int:
    text = _text(place / "size") or "0"
    return int(text) * SECTOR_BYTES if text.isdigit() else 0


def _udev(place: Path) -> dict[str, str]:
    """What udev knows of a block device."""
    number = _text(place / "dev")
    found = {}
    for line in (_text(UDEV_DATA / f"b{number}") or "").splitlines():
        name, equals, value = line.removeprefix("E:").partition("=")
        if line.startswith("E:") and equals:
            found[name] = value
    return found


def _mounted() -> frozenset[str]:
    """Names of block devices that are mounted."""
    devices = (line.split(" ", 1)[0] for line in (_text(MOUNTS) or "").splitlines())
    return frozenset(os.path.basename(os.path.realpath(device)) for device in devices if device.startswith("/dev/"))


def _text(path: Path) -> str | None:
    """The stripped content of a small file, None when there is none or it is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
