"""Datastores as they are configured: fields of the API record, and the property strings in them (spec rest-api §2.4, §8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from platevault.config import property_string
from platevault.config.database import Database
from platevault.config.sections import Section
from platevault.errors import Invalid

_TUNING_NUMBERS = {
    "gc-atime-cutoff": (1, 2880),
    "gc-cache-capacity": (0, 8388608),
    "default-verification-workers": (1, 32),
    "default-verification-readers": (1, 32),
}
_TUNING_WORDS = {"chunk-order": ("inode", "none"), "sync-level": ("filesystem", "file", "none")}
_BOOLEANS = {"1": True, "on": True, "yes": True, "true": True, "0": False, "off": False, "no": False, "false": False}
DEFAULT_VERIFICATION_WORKERS = 4
NOTIFY_KEYS = ("gc", "verify", "sync", "prune")
NOTIFY_WORDS = ("never", "always", "error")
USER_MODES = ("read-only", "offline")


@dataclass(frozen=True, slots=True)
class DatastoreConfig:
    """One datastore; None means not set. `path` is absolute."""

    name: str
    path: str
    comment: str | None = None
    gc_schedule: str | None = None
    prune_schedule: str | None = None
    verify_new: bool | None = None
    notification_mode: str | None = None
    notify: str | None = None
    notify_user: str | None = None
    maintenance_mode: str | None = None
    tuning: str | None = None
    backend: str | None = None
    backing_device: str | None = None
    gc_on_unmount: bool | None = None
    counter_reset_schedule: str | None = None
    notification_thresholds: str | None = None

    @property
    def key(self) -> str:
        return self.name

    @property
    def maintenance(self) -> Maintenance | None:
        return parse_maintenance(self.maintenance_mode) if self.maintenance_mode else None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Why a datastore is not usable as usual. `mode`: read-only, offline, delete, unmount or s3-refresh."""

    mode: str
    message: str | None = None


class DatastoreConfigs(Section[DatastoreConfig]):
    """All datastores."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "datastore", DatastoreConfig, label="datastore")


def parse_maintenance(text: str) -> Maintenance:
    """Raises Invalid for an unknown mode or key."""
    found = property_string.parse(text, default_key="type")
    mode = found.pop("type", "")
    message = found.pop("message", None)
    if found or mode not in (*USER_MODES, "delete", "unmount", "s3-refresh"):
        raise Invalid(f"'{text[:128]}' is no maintenance mode: read-only or offline, optionally with message=TEXT")
    return Maintenance(mode, message)


def normal_maintenance(text: str) -> str:
    """The text to store for what a user asks for. Raises Invalid for the modes that only the server sets."""
    found = parse_maintenance(text)
    if found.mode not in USER_MODES:
        raise Invalid(f"maintenance mode '{found.mode}' is set by the server only: use read-only or offline")
    values = {"type": found.mode} | ({"message": found.message} if found.message is not None else {})
    return property_string.render(values, default_key="type")


def check_tuning(text: str) -> str:
    """`text` itself. Raises Invalid for an unknown key or a value out of range, so that the datastore stays usable."""
    for key, value in property_string.parse(text).items():
        if key in _TUNING_WORDS:
            known = value in _TUNING_WORDS[key]
        elif key in _TUNING_NUMBERS:
            low, high = _TUNING_NUMBERS[key]
            known = value.isascii() and value.isdigit() and low <= int(value) <= high
        else:
            known = key == "gc-atime-safety-check" and value.lower() in _BOOLEANS
        if not known:
            raise Invalid(f"tuning option '{key}={value[:64]}' is not known or out of range")
    return text


def tuning_of(config: DatastoreConfig) -> dict[str, str]:
    return property_string.parse(config.tuning) if config.tuning else {}


def verification_workers(config: DatastoreConfig, asked: int | None) -> int:
    """How many threads check chunks: what was asked for, else what the datastore is tuned to, else 4."""
    return asked or int(tuning_of(config).get("default-verification-workers", DEFAULT_VERIFICATION_WORKERS))


def check_notify(text: str) -> str:
    """`text` itself. Raises Invalid."""
    for key, value in property_string.parse(text).items():
        if key not in NOTIFY_KEYS or value not in NOTIFY_WORDS:
            raise Invalid(f"'{key}={value[:64]}' is no notification setting: gc, verify, sync or prune = never, always or error")
    return text
