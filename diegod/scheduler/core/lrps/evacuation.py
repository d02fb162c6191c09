"""Instances that serve while their replacements are made: EVACUATING, and when they may end
(Diego: rep/evacuation, and step 2 of its convergence).

Diego ends one also when its replacement has crashed. Here it goes on serving: the update may fail
yet, and the way back needs it.
"""

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.v1.record_pb2 import ActualLrp


def drop_evacuating_on_lost_cells(process: Process, slot: Slot) -> None:
    for row in slot.evacuating:
        if process.is_lost(row):
            process.end(row, f"cell {row.cell_id} is missing")


def end_replaced(process: Process, slot: Slot) -> None:
    """The replacement has been healthy for long enough, or it is not to be waited for."""
    for row in slot.evacuating:
        is_staying = row is slot.returning or process.is_lost(row)
        if not is_staying and (why := why_ended(process, slot, row)):
            process.end(row, why)


def why_ended(process: Process, slot: Slot, row: ActualLrp) -> str:
    """Why an evacuating instance ends now; empty: it serves on."""
    if slot.returning is None and process.is_healthy(slot.ordinary):
        return "its replacement runs"
    if process.is_past_deadline(row):
        return f"the deadline of the drain of cell {row.cell_id} is over"
    stops_first = not process.rules.starts_first
    if stops_first and process.unserved_beside(slot) < process.rules.max_unavailable:
        return "its LRP stops an instance before its replacement is made"
    return ""


def moving_count(process: Process) -> Steps[int]:
    """At how many places an instance serves until its replacement is healthy."""
    count = 0
    for portion in in_portions(process.slots.values()):
        yield
        count += sum(_is_moving(process, slot) for slot in portion)
    return count


def _is_moving(process: Process, slot: Slot) -> bool:
    return any(
        not row.stopping and not process.is_lost(row) and not why_ended(process, slot, row)
        for row in slot.evacuating
    )
