"""Where an LRP is to have its instances, and which of its rows is at which place."""

from collections.abc import Collection

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.lrps.global_places import global_process
from diegod.scheduler.core.lrps.process import Place, Process, Slot
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Rollout

#: Rows of which no more than a few fields are read between two chances for a break.
_LOOKED_AT = 1_000


def is_at_rest(snapshot: Snapshot, desired: DesiredLrp, rows: Collection[ActualLrp]) -> bool:
    """A cheap look: as many ordinary instances as there are indexes, all of the definition that is
    wanted, running on cells where they may stay, and no rollout to finish. Most processes are so
    most of the time."""
    if len(rows) != desired.instances or desired.mode == LrpDefinition.GLOBAL:
        return False
    if desired.rollout.state == Rollout.ROLLING or desired.stopped or desired.removing:
        return False
    count, wanted, steady = desired.instances, desired.definition_revision, snapshot.steady
    running, ordinary = ActualLrp.RUNNING, ActualLrp.ORDINARY
    for row in rows:
        if row.state != running or row.presence != ordinary or row.stopping:
            return False
        if row.cell_id not in steady or row.definition_revision != wanted or row.index >= count:
            return False
    return True


def placed_out(
    sheet: Sheet, desired: DesiredLrp, rows: Collection[ActualLrp]
) -> Steps[Process]:
    """Each row at its place. A stopped LRP, or one that is being removed, has none."""
    if desired.stopped or desired.removing:
        return Process(sheet, desired, {}, {}, _by_index(rows))
    if desired.mode == LrpDefinition.GLOBAL:
        return (yield from global_process(sheet, desired, rows))
    return (yield from _replicated(sheet, desired, rows))


def _replicated(
    sheet: Sheet, desired: DesiredLrp, rows: Collection[ActualLrp]
) -> Steps[Process]:
    count, steady = desired.instances, sheet.snapshot.steady
    settled: dict[Place, ActualLrp] = {}
    unsettled: list[ActualLrp] = []
    extra: list[ActualLrp] = []
    running, ordinary = ActualLrp.RUNNING, ActualLrp.ORDINARY
    for portion in in_portions(rows, _LOOKED_AT):
        yield
        for row in portion:  # `is_settled`, spelled out: there may be thousands of rows
            index = row.index
            if index >= count:
                extra.append(row)
            elif row.state != running or row.presence != ordinary or row.stopping:
                unsettled.append(row)
            elif row.cell_id in steady:
                settled[index] = row
            else:
                unsettled.append(row)
    yield
    slots: dict[Place, Slot] = {}
    for indexes in in_portions(sorted({row.index for row in unsettled} | _missing(settled, count))):
        yield
        slots.update((index, Slot(index, ordinary=settled.get(index))) for index in indexes)
    for portion in in_portions(unsettled):
        yield
        for row in portion:
            slots[row.index].add(row)
    yield
    return Process(sheet, desired, settled, slots, _by_index(extra))


def _missing(settled: dict[Place, ActualLrp], count: int) -> set[int]:
    if len(settled) == count:
        return set()
    return {index for index in range(count) if index not in settled}


def _by_index(rows: Collection[ActualLrp]) -> list[ActualLrp]:
    return sorted(rows, key=lambda row: (row.index, row.presence, row.instance_guid))
