"""Verify: read snapshots back, check all that can be checked without keys, note the result in their manifests.

Source: spec administration §3. A snapshot that is locked by a backup or being removed is skipped. The result goes into the
unprotected part of the manifest, so signatures stay valid. When something could not be read at all (as opposed to: was read and
is wrong), the snapshot counts as failed in this run, but its stored state stays: nothing transient is called corrupt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from platevault.clock import Clock
from platevault.errors import Conflict, Corrupt, Invalid, NotFound, PlatevaultError, Unavailable
from platevault.formats import blob
from platevault.formats.manifest import Manifest, ManifestFile
from platevault.formats.names import ArchiveKind, BackupType, GroupName, Namespace, SnapshotName, archive_kind
from platevault.formats.upid import Upid
from platevault.services.progress import Progress
from platevault.services.verify_chunks import Known, Tally, check_index
from platevault.store.datastore import Datastore

DAY_S = 86400
MIB = 1024 * 1024
DEFAULT_WORKERS = 4
Target = tuple[Namespace, SnapshotName]


class VerifyFailed(Corrupt):
    """At least one snapshot did not pass. Facts: `failed`, their names."""


class Outcome(Enum):
    """SKIPPED: somebody else is writing or removing the snapshot, or it is gone; counts as success."""

    GOOD = "ok"
    FAILED = "failed"
    UNKNOWN = "unreadable"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which snapshots a run takes. outdated_after: days after which a result no longer counts; None: never."""

    ignore_verified: bool = True
    outdated_after: int | None = None


EVERYTHING = Selection(ignore_verified=False)


@dataclass(slots=True)
class _Run:
    store: Datastore
    task: Progress
    upid: str
    clock: Clock
    selection: Selection
    workers: int
    known: Known = field(default_factory=Known)


def targets_below(
    store: Datastore,
    ns: Namespace,
    *,
    max_depth: int = 7,
    allowed: Callable[[Namespace, GroupName], bool] = lambda ns, group: True,
) -> Iterator[Target]:
    """All snapshots of a namespace and those below it, groups in order, newest first; `host/benchmark` is left out."""
    for inside in store.namespaces(ns, max_depth=max_depth):
        for group in store.groups(inside):
            if (group.type, group.id) != (BackupType.HOST, "benchmark") and allowed(inside, group):
                yield from targets_in(store, inside, group)


def targets_in(store: Datastore, ns: Namespace, group: GroupName) -> Iterator[Target]:
    """The snapshots of one group, newest first."""
    for entry in store.snapshots(ns, group):
        yield ns, entry.name


def run_verify(
    store: Datastore,
    targets: Iterable[Target],
    task: Progress,
    *,
    upid: str,
    clock: Clock,
    selection: Selection = EVERYTHING,
    workers: int = DEFAULT_WORKERS,
) -> None:
    """Verify the snapshots one after the other. Raises VerifyFailed at the end when one did not pass, Aborted at once.

    workers: threads that check chunks; memory is at most 2 chunks of plain and stored data for each.
    """
    run = _Run(store, task, upid, clock, selection, workers)
    failed = []
    for ns, name in targets:
        task.check_abort()
        if _verify(run, ns, name) in (Outcome.FAILED, Outcome.UNKNOWN):
            failed.append(f"{ns}:{name}" if ns.depth else str(name))
    if failed:
        task.log("Failed to verify the following snapshots/groups:")
        for text in failed:
            task.log(f"\t{text}")
        raise VerifyFailed("verification failed - please check the log for details", failed=failed)


def _verify(run: _Run, ns: Namespace, name: SnapshotName) -> Outcome:
    """One snapshot under its shared lock."""
    try:
        lock = run.store.lock_snapshot(ns, name, shared=True)
    except Conflict as error:
        run.task.log(f"SKIPPED: verify {run.store.name}:{name} - could not acquire snapshot lock: {error}")
        return Outcome.SKIPPED
    with lock:
        if not run.store.snapshot_exists(ns, name):
            run.task.log(f"SKIPPED: verify {run.store.name}:{name} - it was removed")
            return Outcome.SKIPPED
        return _verify_locked(run, ns, name)


def _verify_locked(run: _Run, ns: Namespace, name: SnapshotName) -> Outcome:
    try:
        manifest = run.store.read_manifest(ns, name)
    except PlatevaultError as error:
        run.task.log(f"verify {run.store.name}:{name} - manifest load error: {error}")
        return Outcome.FAILED
    if not _is_wanted(run, name, manifest):
        return Outcome.SKIPPED
    run.task.log(f"verify {run.store.name}:{name}")
    outcomes = [_verify_file(run, ns, name, file) for file in manifest.files]
    # What is certainly broken is noted as such, whatever else could not be read.
    outcome = next((worst for worst in (Outcome.FAILED, Outcome.UNKNOWN) if worst in outcomes), Outcome.GOOD)
    return outcome if outcome is Outcome.UNKNOWN else _note(run, ns, name, outcome)


def _is_wanted(run: _Run, name: SnapshotName, manifest: Manifest) -> bool:
    """Whether the selection takes this snapshot. A result of any kind counts as verified, also a failure (spec §3.1)."""
    state = manifest.unprotected.get("verify_state")
    if not run.selection.ignore_verified or state is None:
        return True
    try:
        started = Upid.parse(state["upid"]).start
    except (Invalid, KeyError, TypeError) as error:
        run.task.warn(f"verify state of {name} cannot be read, verifying it again: {error}")
        return True
    limit = run.selection.outdated_after
    return limit is not None and (run.clock.now() - started) // DAY_S > limit


def _note(run: _Run, ns: Namespace, name: SnapshotName, outcome: Outcome) -> Outcome:
    state = {"state": outcome.value, "upid": run.upid}
    try:
        run.store.update_manifest(ns, name, lambda old: old.with_unprotected(verify_state=state))
    except PlatevaultError as error:
        run.task.log(f"verify {run.store.name}:{name} - the result could not be stored: {error}")
        return Outcome.FAILED
    return outcome


def _verify_file(run: _Run, ns: Namespace, name: SnapshotName, file: ManifestFile) -> Outcome:
    run.task.check_abort()
    run.task.log(f"  check {file.filename}")
    try:
        if archive_kind(file.filename) is ArchiveKind.BLOB:
            _check_blob(run, ns, name, file)
            return Outcome.GOOD
        outcome = _check_archive(run, ns, name, file)
        if outcome is not Outcome.GOOD:
            run.task.log(f"verify {run.store.name}:{name}/{file.filename} failed: chunks could not be verified")
        return outcome
    except (Corrupt, NotFound, Invalid) as error:
        run.task.log(f"verify {run.store.name}:{name}/{file.filename} failed: {error}")
        return Outcome.FAILED
    except Unavailable as error:
        run.task.log(f"verify {run.store.name}:{name}/{file.filename} could not be done: {error}")
        return Outcome.UNKNOWN


def _check_blob(run: _Run, ns: Namespace, name: SnapshotName, file: ManifestFile) -> None:
    raw = run.store.read_file(ns, name, file.filename)
    if len(raw) != file.size:
        raise Corrupt(f"wrong size ({len(raw)} != {file.size})", expected=file.size, got=len(raw))
    if hashlib.sha256(raw).hexdigest() != file.csum.lower():
        raise Corrupt("wrong checksum", expected=file.csum)
    blob.check_crc(raw)
    if not blob.kind_of(raw).is_encrypted:
        blob.decode(raw)


def _check_archive(run: _Run, ns: Namespace, name: SnapshotName, file: ManifestFile) -> Outcome:
    index = run.store.open_index(ns, name, file.filename)
    if index.size != file.size:
        raise Corrupt(f"wrong size ({index.size} != {file.size})", expected=file.size, got=index.size)
    if index.checksum().hex() != file.csum.lower():
        raise Corrupt("wrong index checksum", expected=file.csum)
    start = run.clock.monotonic()
    tally = check_index(run.store.chunks, index, file.crypt_mode, run.known, run.task, workers=run.workers)
    run.task.log(_speed_line(tally, run.clock.monotonic() - start))
    if tally.errors > tally.unreadable:
        return Outcome.FAILED
    return Outcome.UNKNOWN if tally.unreadable else Outcome.GOOD


def _speed_line(tally: Tally, seconds: float) -> str:
    stored, plain = tally.stored_bytes / MIB, tally.plain_bytes / MIB
    per = 1 / seconds if seconds > 0 else 0.0
    return (
        f"  verified {stored:.2f}/{plain:.2f} MiB in {seconds:.2f} seconds, "
        f"speed {stored * per:.2f}/{plain * per:.2f} MiB/s ({tally.errors} errors)"
    )
