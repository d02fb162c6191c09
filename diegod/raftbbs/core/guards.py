"""Conditions that many rules share. Each returns a refusal, or None when the rule may go on."""

from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Refused
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Cell, Lock


def not_found(kind: str, guid: str) -> Refused:
    return Refused(Reason.RESOURCE_NOT_FOUND, f'there is no {kind} "{guid}"')


def stale_row(kind: str, guid: str, seen: int, is_now: int) -> Refused | None:
    """A repair decided on an older version of the row must not be carried out."""
    if seen == is_now:
        return None
    return Refused(
        Reason.RESOURCE_CONFLICT, f"{kind} {guid} is at revision {is_now}, not {seen} any more"
    )


def speaking_cell(view: View, context: Context) -> Refused | None:
    """A cell may speak while its present registration is the one it speaks under."""
    cell = view.cell(context.caller_id)
    if cell is None or cell.state != Cell.PRESENT:
        return Refused(Reason.CELL_MISSING, f"cell {context.caller_id} is not registered")
    if cell.incarnation != context.cell_incarnation:
        return Refused(
            Reason.STALE_INCARNATION,
            f"cell {cell.cell_id} has registered again since: incarnation {cell.incarnation}, "
            f"not {context.cell_incarnation}",
        )
    return None


def placeable_cell(view: View, cell_id: str, incarnation: int) -> Refused | None:
    """A placement names the registration of the cell that it was decided on."""
    cell = view.cell(cell_id)
    if cell is None or cell.state != Cell.PRESENT:
        return Refused(Reason.CELL_MISSING, f"cell {cell_id} is missing")
    if cell.incarnation != incarnation:
        return Refused(Reason.STALE_INCARNATION, f"cell {cell_id} has registered again since")
    if cell.cordoned:
        return Refused(Reason.RESOURCE_CONFLICT, f"cell {cell_id} is cordoned")
    return None


def lock_held(lock: Lock | None, name: str, token: int, by: str) -> Refused | None:
    if lock is not None and lock.owner == by and lock.token == token:
        return None
    holder = lock.owner if lock is not None and lock.owner else "nobody"
    return Refused(Reason.LOCK_COLLISION, f'lock "{name}" is held by {holder}, not under {token}')
