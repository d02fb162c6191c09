"""How a cell stands."""

from diegod.models.standing.facts import Facts, Standing, at_rest, by_brain, moving, seconds
from diegod.v1.record_pb2 import Cell


def of_cell(cell: Cell, facts: Facts, now: float) -> Standing:
    if cell.state == Cell.MISSING:
        return _missing(cell, facts, now)
    if cell.HasField("drain") and facts.occupants != 0:
        left = "" if facts.occupants is None else f": {facts.occupants} left on it"
        return moving(f"is being drained{left}", seconds(cell.drain.deadline_at))
    if cell.HasField("drain"):
        return at_rest("is drained: nothing is on it")
    if cell.cordoned:
        return at_rest("is cordoned: it takes no new work")
    if cell.unhealthy_reason:
        return at_rest(f"takes no new work: {cell.unhealthy_reason}")
    return at_rest("takes work")


def _missing(cell: Cell, facts: Facts, now: float) -> Standing:
    if facts.hold_until is not None and not cell.loss_accepted:
        reason = "is missing, lost with many others at once: nothing is replaced until then"
        return by_brain(facts, reason, facts.hold_until, now)
    return at_rest(f"is missing until it registers again, or: diegod cell rm {cell.cell_id}")
