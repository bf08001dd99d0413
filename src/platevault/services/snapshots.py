"""Lists of snapshots and groups with what their manifests say, as the API and the console show them.

Source: spec rest-api §8.2 (Snapshot, Group). Reading thousands of manifests for each list would be slow, so what one says is kept
for as long as the version of its snapshot stays the same; nothing is kept for a snapshot that changed in the last seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from platevault.errors import Corrupt, NotFound, PlatevaultError
from platevault.formats.manifest import CryptMode, Manifest
from platevault.formats.names import MANIFEST_NAME, BackupType, GroupName, Namespace, SnapshotName
from platevault.store.datastore import Datastore, SnapshotEntry


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file of a snapshot. size and crypt_mode are those of the manifest, None for files that it does not name."""

    filename: str
    size: int | None = None
    crypt_mode: CryptMode | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of the last verification: `ok` or `failed`, and the task that found it."""

    state: str
    upid: str


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot. size: sum of the sizes in the manifest, None without a readable one. owner: None when it has none.

    comment: first line of the notes, None without notes. finished: it has a manifest, be it readable or not. encoded: a place where
    whoever shows the same snapshots again and again keeps what it made of this one, by the name of its form.
    """

    ns: Namespace
    name: SnapshotName
    finished: bool
    protected: bool
    owner: str | None
    files: tuple[FileInfo, ...]
    size: int | None
    comment: str | None
    fingerprint: str | None
    verification: Verification | None
    encoded: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """One group. last_backup and files: of the newest finished snapshot; without one, the time of the newest unfinished.

    comment: first line of the notes, with its line end when more lines follow; None when there never were notes.
    """

    ns: Namespace
    name: GroupName
    backup_count: int
    last_backup: int
    files: tuple[str, ...]
    owner: str | None
    comment: str | None


# What was listed last, by datastore and group; replaced group by group, so it is never larger than the lists are.
# By backup time; an entry is the very object that the store gave last time for as long as the snapshot did not change.
_Seen = dict[int, tuple[SnapshotEntry, SnapshotInfo]]
_SEEN: WeakKeyDictionary[Datastore, dict[tuple[Namespace, GroupName], _Seen]] = WeakKeyDictionary()


def list_snapshots(store: Datastore, ns: Namespace, type: BackupType | None = None, id: str | None = None) -> list[SnapshotInfo]:  # noqa: A002
    """The snapshots of one namespace, groups in order, newest first; of one type or id only if given.

    A snapshot that vanishes meanwhile is left out; one whose manifest cannot be read is listed without its sizes.
    """
    groups = [group for group in store.groups(ns) if type in (None, group.type) and id in (None, group.id)]
    return [info for group in groups for info in list_group_snapshots(store, ns, group)]


def list_group_snapshots(store: Datastore, ns: Namespace, group: GroupName) -> list[SnapshotInfo]:
    """The snapshots of one group, newest first. An unknown group is an empty list."""
    owner = owner_or_none(store, ns, group)
    of_store = _SEEN.setdefault(store, {})
    before = of_store.get((ns, group), {})
    seen: _Seen = {}
    infos = []
    for entry in store.snapshots(ns, group):
        info = _known(before, entry, owner)
        sure = info is not None
        if info is None:
            info, sure = _read(store, ns, entry, owner)
        if info is not None:
            infos.append(info)
            if entry.version is not None and sure:
                seen[entry.name.time] = entry, info
    if seen:
        of_store[ns, group] = seen
    else:
        of_store.pop((ns, group), None)
    return infos


def list_groups(store: Datastore, ns: Namespace) -> list[GroupInfo]:
    """The groups of one namespace in order; a group that vanishes meanwhile is left out."""
    found = (_group_info(store, ns, group) for group in store.groups(ns))
    return [info for info in found if info is not None]


def owner_or_none(store: Datastore, ns: Namespace, group: GroupName) -> str | None:
    """The owner, None when the group has no readable one."""
    try:
        return store.owner(ns, group)
    except PlatevaultError:
        return None


def _known(before: _Seen, entry: SnapshotEntry, owner: str | None) -> SnapshotInfo | None:
    old, info = before.get(entry.name.time, (None, None))
    if info is None or old is None or info.owner != owner:
        return None
    return info if old is entry or (entry.version is not None and old.version == entry.version) else None


def _read(store: Datastore, ns: Namespace, entry: SnapshotEntry, owner: str | None) -> tuple[SnapshotInfo | None, bool]:
    """What there is to say, and whether that is sure: what cannot be read now is asked for again the next time."""
    names: dict[str, int] = {}
    try:
        names = {file.name: file.size for file in store.files(ns, entry.name)}
        manifest = store.read_manifest(ns, entry.name) if entry.finished else None
    except NotFound:
        return None, False
    except PlatevaultError as error:  # it must show up in the list all the same
        return _describe(ns, entry, owner, names, None), isinstance(error, Corrupt)
    return _describe(ns, entry, owner, names, manifest), True


def _describe(ns: Namespace, entry: SnapshotEntry, owner: str | None, names: dict[str, int], manifest: Manifest | None) -> SnapshotInfo:
    files = _files(names, manifest)
    unprotected: Mapping[str, Any] = manifest.unprotected if manifest else {}
    return SnapshotInfo(
        ns=ns,
        name=entry.name,
        finished=entry.finished,
        protected=entry.protected,
        owner=owner,
        files=files,
        size=sum(file.size or 0 for file in files) if manifest else None,
        comment=_first_line(unprotected.get("notes")),
        fingerprint=_text(unprotected.get("key-fingerprint")),
        verification=_verification(unprotected.get("verify_state")),
    )


def _files(names: dict[str, int], manifest: Manifest | None) -> tuple[FileInfo, ...]:
    """Those of the manifest in its order, the manifest itself, then the rest of the directory without figures."""
    if manifest is None:
        return tuple(FileInfo(name) for name in names)
    listed = [FileInfo(file.filename, file.size, file.crypt_mode) for file in manifest.files]
    signed = CryptMode.SIGN_ONLY if manifest.signature else CryptMode.NONE
    listed.append(FileInfo(MANIFEST_NAME, names.get(MANIFEST_NAME), signed))
    told = {file.filename for file in listed}
    return (*listed, *(FileInfo(name) for name in names if name not in told))


def _verification(state: object) -> Verification | None:
    if not isinstance(state, dict):
        return None
    result, upid = state.get("state"), state.get("upid")
    return Verification(result, upid) if isinstance(result, str) and isinstance(upid, str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _first_line(notes: object) -> str | None:
    return notes.split("\n", 1)[0] if isinstance(notes, str) and notes else None


def _group_info(store: Datastore, ns: Namespace, group: GroupName) -> GroupInfo | None:
    entries = store.snapshots(ns, group)
    try:
        notes = store.group_notes(ns, group) if store.has_group_notes(ns, group) else None
        newest = next((entry for entry in entries if entry.finished), None)
        files = tuple(file.name for file in store.files(ns, newest.name)) if newest else ()
    except NotFound:
        return None
    last = newest or (entries[0] if entries else None)
    return GroupInfo(
        ns=ns,
        name=group,
        backup_count=len(entries),
        last_backup=last.name.time if last else 0,
        files=files,
        owner=owner_or_none(store, ns, group),
        comment=None if notes is None else "".join(notes.splitlines(keepends=True)[:1]),
    )
