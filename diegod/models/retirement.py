"""Which instances may be ended, where another one has to serve first.

An EVACUATING instance serves while its replacement is made, a SUSPECT one while nobody knows
whether it still does. Ending either too early takes an index out of service, so the BBS refuses it
inside apply, and the brain asks the same question before it says so. (Diego ends an evacuating
instance also when its replacement has crashed. Here it goes on serving: the update may fail yet,
and the way back needs it.)
"""

from collections.abc import Iterable

from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp

NS = 1_000_000_000


def is_wanted(desired: DesiredLrp | None, index: int) -> bool:
    """Whether the LRP is to have an instance of this index."""
    if desired is None or desired.removing or desired.stopped:
        return False
    return desired.mode == LrpDefinition.GLOBAL or index < desired.instances


def starts_first(desired: DesiredLrp) -> bool:
    """Whether an instance and its replacement may run at the same time."""
    update = desired.update
    return update.strategy == UpdatePolicy.ROLLING and update.order == UpdatePolicy.START_FIRST


def why_kept(
    row: ActualLrp,
    desired: DesiredLrp | None,
    cell: Cell | None,
    of_index: Iterable[ActualLrp],
    at_ns: int,
) -> str:
    """Why `row` must not be retired now; empty: it may.

    `cell` is the one it is on, None if that has no row; `of_index` are all instances of its index;
    `at_ns` is replicated time. Ended at any time are: an ordinary instance; what its cell was asked
    to stop; what nobody wants; what belongs to a GLOBAL LRP, whose instances are tied to cells; an
    evacuating one whose cell is missing, or was drained until the deadline, or whose LRP does not
    start first; a suspect whose cell was removed.
    """
    is_free = row.presence == ActualLrp.ORDINARY or row.stopping or cell is None
    if is_free or desired is None or not is_wanted(desired, row.index):
        return ""
    if desired.mode == LrpDefinition.GLOBAL or any(map(_serves, of_index)):
        return ""
    if row.presence == ActualLrp.EVACUATING and _evacuating_may_end(desired, cell, at_ns):
        return ""
    return f"{row.process_guid}/{row.index} has no other instance that runs"


def _evacuating_may_end(desired: DesiredLrp, cell: Cell | None, at_ns: int) -> bool:
    if cell is None or cell.state == Cell.MISSING or not starts_first(desired):
        return True
    deadline = cell.drain.deadline_at
    return cell.HasField("drain") and at_ns >= deadline.seconds * NS + deadline.nanos


def _serves(row: ActualLrp) -> bool:
    is_ordinary = row.presence == ActualLrp.ORDINARY
    return is_ordinary and row.state == ActualLrp.RUNNING and not row.stopping
