"""What the rules of actual LRPs share: how a row begins, leaves its cell, or is refused.

Each placement has an instance guid of its own: an instance that leaves its cell for good gets a
new one, and whatever a cell says of the old one is refused.
"""

from diegod.models import actual_lrp_lifecycle, retirement
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Changed, Refused, removed, renewed
from diegod.raftbbs.core.guards import not_found, stale_row
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp

_STATE_NAME = ActualLrp.State.Name
_REASON_BYTES_MAX = 1024
#: Which refusal a cell hears when the state does not allow what it says.
_CANNOT = {
    "claim_instance": Reason.ACTUAL_LRP_CANNOT_BE_CLAIMED,
    "start_instance": Reason.ACTUAL_LRP_CANNOT_BE_STARTED,
    "crash_instance": Reason.ACTUAL_LRP_CANNOT_BE_CRASHED,
    "remove_instance": Reason.ACTUAL_LRP_CANNOT_BE_REMOVED,
    "unclaim_instance": Reason.ACTUAL_LRP_CANNOT_BE_UNCLAIMED,
}


def instance_guid(revision: int) -> str:
    """Unique for ever, since a revision is; short, since people read it."""
    return f"i{revision:x}"


def unclaimed(
    desired: DesiredLrp, index: int, context: Context, cell_id: str = ""
) -> ActualLrp:
    """A new instance of the present definition; `cell_id`: the cell of a GLOBAL LRP it is for."""
    row = ActualLrp(
        process_guid=desired.process_guid,
        index=index,
        domain=desired.domain,
        instance_guid=instance_guid(context.revision),
        state=ActualLrp.UNCLAIMED,
        definition_revision=desired.definition_revision,
        since=stamp(context.at_ns),
    )
    row.needs.CopyFrom(desired.needs)
    if cell_id:
        row.needs.cell_id = cell_id
    return row


def unclaimed_again(view: View, old: ActualLrp, context: Context) -> Changed:
    """The same index with a new identity and the present definition; its crashes are remembered."""
    desired = view.desired_lrp(old.process_guid)
    if desired is None or desired.removing:
        return removed(old)
    cell_id = old.needs.cell_id if desired.mode == LrpDefinition.GLOBAL else ""
    new = unclaimed(desired, old.index, context, cell_id)
    new.crash_count = old.crash_count
    new.crash_reason = old.crash_reason
    new.placement_error = old.placement_error
    return renewed(old, new)


def ordinary(view: View, process_guid: str, index: int) -> ActualLrp | None:
    for row in view.instances_at(process_guid, index):
        if row.presence == ActualLrp.ORDINARY:
            return row
    return None


def repairable(
    view: View, guid: str, seen: int, command: str
) -> tuple[ActualLrp | None, Refused | None]:
    """The row of a repair, and why it can't be repaired so."""
    row = view.actual_lrp(guid)
    if row is None:
        return None, not_found("instance", guid)
    stale = stale_row("instance", guid, seen, row.provenance.revision)
    return row, stale or illegal(row, command)


def held_by_caller(
    view: View, guid: str, context: Context
) -> tuple[ActualLrp | None, Refused | None]:
    """The row, if the speaking cell has it."""
    row = view.actual_lrp(guid)
    if row is None:
        return None, not_found("instance", guid)
    if context.caller_id in (row.cell_id, row.placed_cell_id):
        return row, None
    return row, Refused(
        Reason.RUNNING_ON_DIFFERENT_CELL, f"instance {guid} is on {row.cell_id or 'no cell'}"
    )


def illegal(row: ActualLrp, command: str) -> Refused | None:
    if actual_lrp_lifecycle.allows(row.state, command):
        return None
    return Refused(
        _CANNOT.get(command, Reason.INVALID_STATE_TRANSITION),
        f"{named(row)} is {_STATE_NAME(row.state)}: {command} is not possible",
    )


def named(row: ActualLrp) -> str:
    return f"instance {row.instance_guid} ({row.process_guid}/{row.index})"


def is_on_present_cell(view: View, row: ActualLrp) -> bool:
    cell = view.cell(row.cell_id) if row.cell_id else None
    return cell is not None and cell.state == Cell.PRESENT


def leave_cell(row: ActualLrp) -> str:
    """The cell it was on."""
    cell_id = row.cell_id or row.placed_cell_id
    row.last_cell_id = cell_id
    row.routable = False
    row.placed_cell_id = ""
    row.cell_id = ""
    row.cell_incarnation = 0
    row.zone = ""
    row.ClearField("placed_at")
    row.ClearField("net_info")
    return cell_id


def shortened(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")


def retirement_refused(
    view: View, row: ActualLrp, desired: DesiredLrp | None, context: Context
) -> Refused | None:
    """Why nothing may end it yet (`models.retirement`)."""
    cell = view.cell(row.cell_id)
    of_index = view.instances_at(row.process_guid, row.index)
    why = retirement.why_kept(row, desired, cell, of_index, context.at_ns)
    if not why:
        return None
    return Refused(Reason.RESOURCE_CONFLICT, f"{named(row)} is not ended: {why}")
