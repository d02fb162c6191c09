"""A snapshot of rows that a test writes down itself: any state, whoever could bring it about."""

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.scheduler.core.convergence import all_keys, converge
from diegod.scheduler.core.repairs import Repairs
from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.definition_pb2 import Dependency
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    PlacementNeeds,
    Provenance,
    Resources,
    Rollout,
    Task,
    TaskSchedule,
)

NOW = 1_000_000.0
Row = Task | ActualLrp | DesiredLrp | Cell | TaskSchedule
_FIELDS = {
    Task: "task",
    ActualLrp: "actual_lrp",
    DesiredLrp: "desired_lrp",
    Cell: "cell",
    TaskSchedule: "task_schedule",
}


def at(seconds: float) -> Timestamp:
    whole = int(seconds // 1)
    return Timestamp(seconds=whole, nanos=round((seconds - whole) * 1e9))


def a_change(row: Row, revision: int = 7, verb: Change.Verb = Change.CHANGED) -> Change:
    row.provenance.CopyFrom(Provenance(revision=revision))
    change = Change(revision=revision, verb=verb)
    getattr(change, _FIELDS[type(row)]).CopyFrom(row)
    return change


def a_snapshot(*rows: Row) -> Snapshot:
    snapshot = Snapshot()
    snapshot.apply_changes(a_change(row) for row in rows)
    return snapshot


def repaired(*rows: Row, now: float = NOW) -> Repairs:
    snapshot = a_snapshot(*rows)
    return converge(snapshot, all_keys(snapshot), now)


def a_task(guid: str = "t", state: Task.State = Task.PENDING, **fields: object) -> Task:
    fields.setdefault("created_at", at(NOW - 100))
    fields.setdefault("needs", _needs())
    return Task(task_guid=guid, state=state, start_deadline_ms=1_800_000, **fields)


def an_lrp(guid: str, instances: int = 1, **fields: object) -> DesiredLrp:
    fields.setdefault("rollout", Rollout(state=Rollout.ROLLING))
    fields.setdefault("needs", _needs())
    return DesiredLrp(process_guid=guid, instances=instances, definition_revision=3, **fields)


def an_instance(
    guid: str, index: int = 0, state: ActualLrp.State = ActualLrp.RUNNING, **fields: object
) -> ActualLrp:
    fields.setdefault("routable", state == ActualLrp.RUNNING)
    fields.setdefault("cell_id", "" if state == ActualLrp.UNCLAIMED else "cell-1")
    fields.setdefault("instance_guid", f"{guid}-{index}")
    fields.setdefault("definition_revision", 3)
    fields.setdefault("needs", _needs())
    return ActualLrp(process_guid=guid, index=index, state=state, **fields)


def a_cell(cell_id: str = "cell-1", state: Cell.State = Cell.PRESENT, **fields: object) -> Cell:
    fields.setdefault("capacity", Resources(memory_mb=4096, disk_mb=10_000, containers=100))
    fields.setdefault("rootfs_providers", ["preloaded:busybox"])
    fields.setdefault("since", at(NOW - 1000))
    return Cell(cell_id=cell_id, zone="z1", state=state, **fields)


def on_lrp(guid: str) -> Dependency:
    return Dependency(lrp=guid)


def on_task(guid: str, condition: Dependency.Condition = Dependency.DEFAULT) -> Dependency:
    return Dependency(task=guid, condition=condition)


def _needs() -> PlacementNeeds:
    resources = Resources(memory_mb=128, disk_mb=100, containers=1)
    return PlacementNeeds(resources=resources, rootfs_provider="preloaded:busybox")
