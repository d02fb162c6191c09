"""What is up for auction, and in which order (Diego: auctionrunner/sortable_auctions.go).

Index 0 of every LRP, then tasks, then the other instances by index: every app gets one instance
before any app gets its second. Within each, boulders before pebbles.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import merge

from diegod.contracts.strategy import Work
from diegod.scheduler.core.breaks import Steps, in_one_go, in_portions
from diegod.scheduler.core.decision import process_key, task_key
from diegod.scheduler.core.dependencies import gates, unmet
from diegod.scheduler.core.snapshot import TASK, Key, Snapshot, containers_of
from diegod.scheduler.core.task_repairs import start_deadline
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, PlacementNeeds, Task

#: Rows that are gathered and sorted without a break; the sorted runs are merged.
_SORTED_AT_ONCE = 250


@dataclass(frozen=True)
class Lot:
    """One thing up for auction: the work, and the version of the row that asks for it."""

    work: Work
    row_guid: str  # task_guid or instance_guid
    row_revision: int
    strategy: str = ""  # empty: the brain's default
    placement_error: str = ""  # what the last auction wrote into the row
    waits_for: str = ""  # what it depends on and has not got yet: it is not auctioned

    @property
    def key(self) -> Key:
        of_task = self.work.kind == TASK
        return task_key(self.work.guid) if of_task else process_key(self.work.guid)

    @property
    def title(self) -> str:
        """As people call it: a task by its guid, an instance by process and index."""
        return self.work.guid if self.work.kind == TASK else f"{self.work.guid}/{self.work.index}"


def waiting(snapshot: Snapshot, now: float, *, hold_replacements: bool = False) -> list[Lot]:
    """What waits for a placement, in the order of the auction; some of it `waits_for` more.

    What convergence is about to end anyway is not put up; while a mass loss holds, neither is
    what would replace an instance on a lost cell.
    """
    return in_one_go(gathering(snapshot, now, (), hold_replacements=hold_replacements))


def gathering(
    snapshot: Snapshot, now: float, busy: Collection[str], *, hold_replacements: bool
) -> Steps[list[Lot]]:
    """The same, step by step, without these rows."""
    runs: list[list[Lot]] = []
    for tasks in in_portions(snapshot.pending.values(), _SORTED_AT_ONCE):
        yield
        up = (task for task in tasks if task.task_guid not in busy and now < start_deadline(task))
        runs.append(ordered(task_lot(snapshot, task) for task in up))
    waits_for: dict[str, str] = {}  # by process: all its instances wait for the same
    lost: dict[str, frozenset[int]] = {}  # by process: the indexes that are to be left alone
    for rows in in_portions(snapshot.unclaimed.values(), _SORTED_AT_ONCE):
        yield
        lots: list[Lot] = []
        for row in rows:
            guid, desired = row.process_guid, snapshot.desired.get(row.process_guid)
            if row.instance_guid in busy or desired is None or not _is_wanted(desired, row):
                continue
            if guid not in waits_for:
                waits_for[guid] = unmet(snapshot, gates(desired))
                lost[guid] = _suspect(snapshot, guid) if hold_replacements else frozenset()
            if row.index not in lost[guid]:
                lots.append(instance_lot(row, waits_for[guid]))
        runs.append(ordered(lots))
    in_order: list[Lot] = []
    for portion in in_portions(merge(*runs, key=_turn), _SORTED_AT_ONCE):
        yield
        in_order += portion
    return in_order


def ordered(lots: Iterable[Lot]) -> list[Lot]:
    return sorted(lots, key=_turn)


def _turn(lot: Lot) -> tuple[int, int, int, str, str]:
    work = lot.work
    group = 1 if work.kind == TASK else 0 if work.index == 0 else 2
    return group, work.index, -work.memory_mb, work.guid, lot.row_guid


def _is_wanted(desired: DesiredLrp, row: ActualLrp) -> bool:
    """What is not, convergence retires: it would be placed in vain."""
    if desired.stopped or desired.removing:
        return False
    is_index = desired.mode == LrpDefinition.GLOBAL or row.index < desired.instances
    return is_index and row.definition_revision == desired.definition_revision


def _suspect(snapshot: Snapshot, process_guid: str) -> frozenset[int]:
    rows = snapshot.rows_of(process_guid)
    return frozenset(row.index for row in rows if row.presence == ActualLrp.SUSPECT)


def task_lot(snapshot: Snapshot, task: Task) -> Lot:
    return Lot(
        _work(TASK, task.task_guid, 0, task.needs),
        task.task_guid,
        task.provenance.revision,
        task.needs.strategy,
        task.placement_error,
        unmet(snapshot, task.depends_on),
    )


def instance_lot(row: ActualLrp, waits_for: str = "") -> Lot:
    return Lot(
        _work("lrp", row.process_guid, row.index, row.needs),
        row.instance_guid,
        row.provenance.revision,
        row.needs.strategy,
        row.placement_error,
        waits_for,
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
        cell_id=needs.cell_id,
    )
