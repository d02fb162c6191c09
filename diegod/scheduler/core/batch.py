"""What is up for auction, and in which order (Diego: auctionrunner/sortable_auctions.go).

Index 0 of every LRP, then tasks, then the other instances by index: every app gets one instance
before any app gets its second. Within each, boulders before pebbles.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from diegod.contracts.strategy import Work
from diegod.scheduler.core.decision import process_key, task_key
from diegod.scheduler.core.snapshot import TASK, Key, Snapshot, containers_of
from diegod.scheduler.core.task_repairs import start_deadline
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, PlacementNeeds, Task


@dataclass(frozen=True)
class Lot:
    """One thing up for auction: the work, and the version of the row that asks for it."""

    work: Work
    row_guid: str  # task_guid or instance_guid
    row_revision: int
    strategy: str = ""  # empty: the brain's default
    placement_error: str = ""  # what the last auction wrote into the row

    @property
    def key(self) -> Key:
        of_task = self.work.kind == TASK
        return task_key(self.work.guid) if of_task else process_key(self.work.guid)

    @property
    def title(self) -> str:
        """As people call it: a task by its guid, an instance by process and index."""
        return self.work.guid if self.work.kind == TASK else f"{self.work.guid}/{self.work.index}"


def waiting(snapshot: Snapshot, now: float, *, hold_replacements: bool = False) -> list[Lot]:
    """What waits for a placement and may have one, in the order of the auction.

    What convergence is about to end anyway is not put up; while a mass loss holds, neither is
    what would replace an instance on a lost cell.
    """
    lots = [_task_lot(t) for t in snapshot.pending.values() if now < start_deadline(t)]
    for row in snapshot.unclaimed.values():
        if _is_wanted(snapshot, row) and not (hold_replacements and _replaces(snapshot, row)):
            lots.append(_instance_lot(row))
    return ordered(lots)


def ordered(lots: Iterable[Lot]) -> list[Lot]:
    return sorted(lots, key=_turn)


def _turn(lot: Lot) -> tuple[int, int, int, str, str]:
    work = lot.work
    group = 1 if work.kind == TASK else 0 if work.index == 0 else 2
    return group, work.index, -work.memory_mb, work.guid, lot.row_guid


def _is_wanted(snapshot: Snapshot, row: ActualLrp) -> bool:
    desired = snapshot.desired.get(row.process_guid)
    if desired is None or desired.stopped or desired.removing:
        return False
    if desired.mode != LrpDefinition.GLOBAL and row.index >= desired.instances:
        return False
    return row.definition_revision == desired.definition_revision


def _replaces(snapshot: Snapshot, row: ActualLrp) -> bool:
    return any(
        other.index == row.index and other.presence == ActualLrp.SUSPECT
        for other in snapshot.instances_of(row.process_guid)
    )


def _task_lot(task: Task) -> Lot:
    return Lot(
        _work(TASK, task.task_guid, 0, task.needs),
        task.task_guid,
        task.provenance.revision,
        task.needs.strategy,
        task.placement_error,
    )


def _instance_lot(row: ActualLrp) -> Lot:
    return Lot(
        _work("lrp", row.process_guid, row.index, row.needs),
        row.instance_guid,
        row.provenance.revision,
        row.needs.strategy,
        row.placement_error,
    )


def _work(kind: str, guid: str, index: int, needs: PlacementNeeds) -> Work:
    return Work(
        kind=kind,
        guid=guid,
        index=index,
        memory_mb=needs.resources.memory_mb,
        disk_mb=needs.resources.disk_mb,
        containers=containers_of(needs),
        rootfs_provider=needs.rootfs_provider,
        placement_tags=frozenset(needs.placement_tags),
    )
