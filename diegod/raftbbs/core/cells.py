"""What operators do to a cell: cordon it, drain it, say that its loss is known, or remove it.

These fields of a cell's row are the operator's alone: a registration keeps them. Does not belong
here: moving away what is on a cell that is drained, which convergence does.
"""

from collections.abc import Callable

from diegod.internal.v1 import command_pb2 as c
from diegod.models import limits
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed, removed
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.stamps import NS, stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.record_pb2 import Cell

_Verb = ControlCellRequest.Verb
_MS = NS // 1000


def control(view: View, command: c.ControlCell, context: Context) -> Decision:
    cell = view.cell(command.cell_id)
    if cell is None:
        return not_found("cell", command.cell_id)
    if command.verb == _Verb.DRAIN:
        return _drain(cell, command.deadline_ms or limits.DRAIN_DEADLINE_MS, context)
    rule = _RULES.get(command.verb)
    if rule is None:
        return Refused(Reason.INVALID_REQUEST, "no verb that a cell is controlled by")
    return rule(cell)


def keep_what_operators_said(cell: Cell, old: Cell | None) -> None:
    """In a registration: the agent has no say in it. A loss that was accepted is over."""
    for field in ("cordoned", "drain", "loss_accepted"):
        cell.ClearField(field)
    if old is not None:
        cell.cordoned = old.cordoned
        if old.HasField("drain"):
            cell.drain.CopyFrom(old.drain)


def _cordon(cell: Cell) -> Decision:
    if cell.cordoned:
        return Unchanged(cell)
    cell.cordoned = True
    return changed(cell)


def _uncordon(cell: Cell) -> Decision:
    if not cell.cordoned and not cell.HasField("drain"):
        return Unchanged(cell)
    cell.cordoned = False
    cell.ClearField("drain")
    return changed(cell)


def _drain(cell: Cell, deadline_ms: int, context: Context) -> Decision:
    """Asked again, it has a new deadline and goes on."""
    if deadline_ms > limits.DRAIN_DEADLINE_MS_MAX:
        return Refused(
            Reason.INVALID_REQUEST,
            f"deadline_ms is {deadline_ms}, at most {limits.DRAIN_DEADLINE_MS_MAX} are possible",
        )
    if not cell.HasField("drain"):
        cell.drain.began_at.CopyFrom(stamp(context.at_ns))
    cell.drain.deadline_at.CopyFrom(stamp(context.at_ns + deadline_ms * _MS))
    cell.cordoned = True
    return changed(cell)


def _remove(cell: Cell) -> Decision:
    return _not_missing(cell, "removed") or removed(cell)


def _accept_loss(cell: Cell) -> Decision:
    if refusal := _not_missing(cell, "given up"):
        return refusal
    if cell.loss_accepted:
        return Unchanged(cell)
    cell.loss_accepted = True
    return changed(cell)


def _not_missing(cell: Cell, done: str) -> Refused | None:
    if cell.state == Cell.MISSING:
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"cell {cell.cell_id} is {Cell.State.Name(cell.state)}: only a MISSING cell can be {done}",
    )


_RULES: dict[int, Callable[[Cell], Decision]] = {
    _Verb.CORDON: _cordon,
    _Verb.UNCORDON: _uncordon,
    _Verb.REMOVE: _remove,
    _Verb.ACCEPT_LOSS: _accept_loss,
}
