"""When a placement that its cell has not taken up is taken back; the same for tasks and instances.

Taking it back is always safe: the attempt id goes with it, and the cell is refused under the old
one from then on.
"""

from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Key, Occupant, seconds


def not_taken_up(sheet: Sheet, key: Key, row: Occupant) -> str:
    """Why the placement is to be withdrawn; empty: it is not, or not yet."""
    cell_id, placed_at = row.placed_cell_id, seconds(row.placed_at)
    cell = sheet.snapshot.cells.get(cell_id)
    if cell is None or not sheet.snapshot.is_present(cell_id):
        return f"cell {cell_id}, on which it was placed, is missing"
    if cell.HasField("drain"):
        return f"cell {cell_id}, on which it was placed, is being drained"
    # A placement does not keep the incarnation that it was decided on; `since` of a present cell
    # is when that cell registered.
    if seconds(cell.since) > placed_at:
        return f"cell {cell_id} has registered again since it was placed there"
    if sheet.is_due(key, placed_at + sheet.limits.take_up_s):
        return f"cell {cell_id} did not take it up within {sheet.limits.take_up_s:g} s"
    return ""
