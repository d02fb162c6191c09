"""The life of one instance: it is made where there is none, placed anew, and run again after a
crash (steps 3, 5 and 8 of Diego's convergence)."""

from diegod.models.restart import RestartAt, RestartNow, restart
from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.scheduler.core.lrps.steps import restart_of, withdrawal
from diegod.scheduler.core.placements import not_taken_up
from diegod.scheduler.core.repairs import Deadline
from diegod.scheduler.core.snapshot import seconds
from diegod.v1.record_pb2 import ActualLrp


def withdraw_placements(process: Process, slot: Slot) -> None:
    """What is placed and not taken up."""
    row = slot.ordinary
    if row is None or slot.returning or row.state != ActualLrp.UNCLAIMED:
        return
    if not row.placed_cell_id or process.is_old(row):
        return
    if why := not_taken_up(process.sheet, process.key, row):
        process.sheet.decide(process.key, *withdrawal(row, why))


def create_missing(process: Process, slot: Slot) -> None:
    if slot.ordinary is not None or slot.returning or not process.may_create(slot):
        return
    if slot.suspects:
        process.unless_held(slot.suspects[0], process.creation(slot, "its cell is missing"))
    elif slot.evacuating:
        step = process.creation(slot, "the one that there is gives way to it")
        process.unless_held(slot.evacuating[0], step)
    else:
        step = process.creation(slot, "it is desired and there is none")
        process.sheet.decide(process.key, *step)


def restart_crashed(process: Process, slot: Slot) -> None:
    policy, now = process.desired.crash_policy, process.sheet.now
    row = slot.ordinary
    if row is None or slot.returning or row.state != ActualLrp.CRASHED or process.is_old(row):
        return
    match restart(policy, row.crash_count, seconds(row.since), now):
        case RestartNow():
            process.sheet.decide(process.key, *restart_of(row))
        case RestartAt(at):
            process.sheet.deadlines.append(Deadline(at, process.key))
