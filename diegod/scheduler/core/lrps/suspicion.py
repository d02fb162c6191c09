"""Instances whose cells are missing: SUSPECT, and routable until a replacement runs (steps 4 and 7
of Diego's convergence; its tables of suspect cells)."""

from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.scheduler.core.lrps.steps import retirement, return_of, suspicion
from diegod.v1.record_pb2 import ActualLrp


def replace_lost(process: Process, slot: Slot) -> None:
    """It becomes SUSPECT, unless it was to stop or only replaced one that is there still, or its
    machine never comes back."""
    row = slot.ordinary
    if row is None or slot.returning or not process.is_lost(row):
        return
    lost = f"cell {row.cell_id} is missing"
    first = retirement(row, lost) if _is_no_loss(process, slot, row) else suspicion(row, lost)
    steps = [first]
    if process.may_create(slot):
        steps.append(process.creation(slot, lost))
    process.unless_held(row, *steps)


def settle_suspects(process: Process, slot: Slot) -> None:
    """One whose replacement runs goes, and one whose machine never comes back."""
    for row in slot.suspects:
        if row is not slot.returning and (why := why_settled(process, slot, row)):
            process.end(row, why)


def why_settled(process: Process, slot: Slot, row: ActualLrp) -> str:
    """Why a suspect ends now; empty: it stays routable."""
    if process.serves(slot.ordinary):
        return "its replacement runs"
    if row.cell_id not in process.snapshot.cells:
        return f"cell {row.cell_id} was removed"
    return ""


def take_back(process: Process, slot: Slot) -> None:
    """An instance that is the ordinary one again: a suspect whose cell is back before its
    replacement runs, or one that the brain wanted to move away for a reason that is gone.

    The BBS allows that once no other ordinary instance is left; a replacement that is being started
    has to be stopped by its cell first.
    """
    if slot.returning is None:
        return
    step = return_of(slot.returning)
    if slot.ordinary is None:
        process.sheet.decide(process.key, *step)
        process.has_returned(slot)
    elif process.goes_at_once(slot.ordinary):
        end = retirement(slot.ordinary, f"not needed: {step[1]}")
        if process.unless_held(slot.ordinary, end, step):
            process.has_returned(slot)
    else:
        process.end(slot.ordinary, f"not needed: {step[1]}")


def _is_no_loss(process: Process, slot: Slot, row: ActualLrp) -> bool:
    if row.stopping or slot.suspects or row.cell_id not in process.snapshot.cells:
        return True
    if any(process.serves(each) for each in slot.evacuating):
        return True
    return process.rules.recreates and process.is_rolling and process.is_old(row)
