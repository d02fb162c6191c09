"""Moving instances off a cell that is drained (Diego: rep/evacuation).

The replacement runs before the old instance stops, for at most `max_in_flight` of a process at a
time. An LRP that must not run twice at one place has one instance stopped after the other, each
only while all others run. At the deadline what is left is stopped.
"""

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.lrps.evacuation import moving_count
from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.v1.record_pb2 import ActualLrp


def move_away(process: Process) -> Steps[None]:
    slots: list[Slot] = []
    for portion in in_portions(process.slots.values()):
        yield
        slots += (slot for slot in portion if _has_to_move(process, slot))
    if not slots:
        return
    moving = yield from moving_count(process)
    for portion in in_portions(slots):
        yield
        for slot in portion:
            _move_away(process, slot, moving)


def _move_away(process: Process, slot: Slot, moving: int) -> None:
    row = slot.ordinary
    assert row is not None
    why = f"cell {row.cell_id} is being drained"
    if row.state == ActualLrp.CLAIMED:
        process.end(row, why)
    elif process.is_past_deadline(row):
        process.end(row, f"the deadline of the drain of cell {row.cell_id} is over")
    elif not process.rules.starts_first:
        if not row.routable or not process.unserved_beside(slot):
            process.end(row, why)
    elif moving + process.begun < process.rules.max_in_flight and process.stands_alone(slot):
        process.begin_moving(slot, row, why)


def _has_to_move(process: Process, slot: Slot) -> bool:
    row = slot.ordinary
    if row is None or slot.returning is not None or row.stopping:
        return False
    if process.drained_cell(row) is None:
        return False
    if row.state == ActualLrp.CLAIMED:
        return not process.is_old(row)  # an old one goes anyway
    return row.state == ActualLrp.RUNNING
