"""What work waits for before it is placed for the first time, and whether it waits in vain.

Does not belong here: what is done about it (`task_repairs` fails a task that waits in vain, `batch`
keeps what waits out of the auction).
"""

from collections.abc import Iterable

from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.definition_pb2 import Dependency, LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Rollout, Task

#: How every such text begins: by this a row is known to wait, and not to have been refused.
WAITS = "waits for "


def unmet(snapshot: Snapshot, dependencies: Iterable[Dependency]) -> str:
    """The first that is not met: "waits for lrp db: 1 of 2 healthy"; empty: all are."""
    for dependency in dependencies:
        if why := _unmet(snapshot, dependency):
            return why
    return ""


def in_vain(snapshot: Snapshot, dependencies: Iterable[Dependency]) -> str:
    """Why one of them can never be met any more; empty: each of them may be."""
    for dependency in dependencies:
        task = snapshot.tasks.get(dependency.task)
        if task is not None and _has_ended(task) and not _suffices(task, dependency):
            return f"task {dependency.task} failed: {task.failure_reason}"
    return ""


def vanished(snapshot: Snapshot, dependencies: Iterable[Dependency]) -> str:
    """The first task among them that is not there; empty: all are."""
    gone = (d.task for d in dependencies if d.task and d.task not in snapshot.tasks)
    return next(gone, "")


def gates(desired: DesiredLrp) -> Iterable[Dependency]:
    """What the instances of an LRP wait for: nothing, once one version of it was up in full."""
    rollout = desired.rollout
    has_been_up = rollout.state == Rollout.DONE or rollout.stable_definition_revision
    return () if has_been_up else desired.depends_on


def _unmet(snapshot: Snapshot, dependency: Dependency) -> str:
    if dependency.lrp:
        lacks = _lrp_lacks(snapshot, dependency.lrp)
        return lacks and f"{WAITS}lrp {dependency.lrp}: {lacks}"
    lacks = _task_lacks(snapshot, dependency)
    return lacks and f"{WAITS}task {dependency.task}: {lacks}"


def _lrp_lacks(snapshot: Snapshot, process_guid: str) -> str:
    desired = snapshot.desired.get(process_guid)
    if desired is None or desired.removing:
        return "there is none" if desired is None else "it is being removed"
    if desired.stopped:
        return "it is stopped"
    ordinary = [
        row
        for row in snapshot.instances_of(process_guid)
        if row.presence == ActualLrp.ORDINARY and not row.stopping
    ]
    healthy = sum(row.state == ActualLrp.RUNNING and row.routable for row in ordinary)
    wanted = desired.instances
    if desired.mode == LrpDefinition.GLOBAL:  # one a cell: as many as there are rows, and one
        wanted = max(len(ordinary), 1)
    return "" if healthy >= wanted else f"{healthy} of {wanted} healthy"


def _task_lacks(snapshot: Snapshot, dependency: Dependency) -> str:
    task = snapshot.tasks.get(dependency.task)
    if task is None:
        return "there is none"
    if not _has_ended(task):
        return f"it is {Task.State.Name(task.state)}"
    return "" if _suffices(task, dependency) else f"it failed: {task.failure_reason}"


def _has_ended(task: Task) -> bool:
    return task.state in (Task.COMPLETED, Task.RESOLVING)


def _suffices(task: Task, dependency: Dependency) -> bool:
    return not task.failed or dependency.condition == Dependency.COMPLETED
