"""Prune: remove the snapshots that the retention rules do not keep. The plan is made in `prune_plan`.

Source: spec administration §2.4, §2.5. A snapshot that cannot be removed now (a backup, a reader or a sync holds it, the disk
fails) is a warning and the run goes on; chunks are never touched, garbage collection frees the space later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from platevault.errors import Conflict, NotFound, PlatevaultError
from platevault.formats.names import GroupName, Namespace
from platevault.services.progress import Progress
from platevault.services.prune_plan import Decision, Mark, Retention, plan_prune
from platevault.store.datastore import Datastore

MARK_WORDS = {Mark.PROTECTED: "keep protected", Mark.KEEP_PARTIAL: "keep partial", Mark.KEEP: "keep", Mark.REMOVE: "remove"}


def plan_group(store: Datastore, ns: Namespace, group: GroupName, retention: Retention, *, zone: tzinfo) -> list[Decision]:
    """The decisions for one group as it is now, oldest first."""
    return plan_prune(store.snapshots(ns, group), retention, zone=zone)


def run_prune_group(
    store: Datastore, ns: Namespace, group: GroupName, retention: Retention, task: Progress, *, zone: tzinfo
) -> list[Decision]:
    """Prune one group; returns what was decided. Removals that fail are warnings."""
    if retention.keeps_all:
        task.log("No prune selection - keeping all files.")
    else:
        task.log(f"retention options: {retention.flags()}")
    task.log(f'Starting prune on {_place(store, ns)} group "{group}"')
    decisions = plan_group(store, ns, group, retention, zone=zone)
    for decision in decisions:
        task.log(f"{decision.snapshot.name} {decision.mark}")
        _remove_unless_kept(store, ns, decision, task)
    return decisions


def run_prune(
    store: Datastore,
    ns: Namespace,
    retention: Retention,
    task: Progress,
    *,
    zone: tzinfo,
    max_depth: int = 7,
    dry_run: bool = False,
    allowed: Callable[[Namespace, GroupName], bool] = lambda ns, group: True,
) -> None:
    """Prune every group of a namespace and of what is below it, down to `max_depth`.

    allowed: says whether the caller may prune a group; others are left out. Raises Aborted.
    """
    task.log(f"Starting datastore prune on {_place(store, ns)}, {_depth(max_depth)}")
    task.log("No prune selection - keeping all files." if retention.keeps_all else f"retention options: {retention.flags()}")
    for inside in store.namespaces(ns, max_depth=max_depth):
        for group in store.groups(inside):
            task.check_abort()
            if allowed(inside, group):
                _prune_listed(store, inside, group, retention, task, zone=zone, dry_run=dry_run)


def _prune_listed(
    store: Datastore, ns: Namespace, group: GroupName, retention: Retention, task: Progress, *, zone: tzinfo, dry_run: bool
) -> None:
    task.log(f'Pruning group {_place(store, ns)}:"{group}"')
    for decision in plan_group(store, ns, group, retention, zone=zone):
        words = MARK_WORDS[decision.mark]
        task.log(f"{'would ' if dry_run else ''}{words} {decision.snapshot.name}")
        if not dry_run:
            _remove_unless_kept(store, ns, decision, task)


def _remove_unless_kept(store: Datastore, ns: Namespace, decision: Decision, task: Progress) -> None:
    if decision.keep:
        return
    task.check_abort()
    try:
        store.remove_snapshot(ns, decision.snapshot.name)
    except NotFound:
        return  # somebody else was faster
    except Conflict as error:
        task.warn(f"skipped {decision.snapshot.name}: {error}")
    except PlatevaultError as error:
        task.warn(f"failed to remove {decision.snapshot.name}: {error}")


def _place(store: Datastore, ns: Namespace) -> str:
    return f"datastore '{store.name}', namespace '{ns}'" if ns.depth else f"datastore '{store.name}', root namespace"


def _depth(max_depth: int) -> str:
    if max_depth == 0:
        return "non-recursive"
    return "full recursion" if max_depth >= 7 else f"down to depth {max_depth}"
