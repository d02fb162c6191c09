"""The rules of actual LRPs: one row an instance, under an instance guid that the BBS makes.

Each placement has an instance guid of its own: an instance that leaves its cell for good gets a
new one, and whatever a cell says of the old one is refused. 'One ORDINARY row an index' is kept
by `create` and by `unsuspect`.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models import actual_lrp_lifecycle
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import (
    Changed,
    Decision,
    Refused,
    Unchanged,
    changed,
    created,
    removed,
    renewed,
)
from diegod.raftbbs.core.guards import not_found, placeable_cell, stale_row
from diegod.raftbbs.core.stamps import NS, nanoseconds, stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp

_STATE_NAME = ActualLrp.State.Name
_REASON_BYTES_MAX = 1024
_RESET_AFTER_MS_DEFAULT = 300_000
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


def create(view: View, command: c.CreateInstance, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := stale_row(
        "LRP", desired.process_guid, command.desired_revision, desired.provenance.revision
    ):
        return refusal
    if _ordinary(view, command.process_guid, command.index) is not None:
        return Refused(
            Reason.RESOURCE_EXISTS, f"{command.process_guid}/{command.index} exists already"
        )
    return created(_unclaimed(desired, command.index, context))


def place(view: View, command: c.PlaceInstance, context: Context) -> Decision:
    row, refusal = _repairable(view, command.instance_guid, command.row_revision, "place_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if row.placed_cell_id:
        return Refused(Reason.RESOURCE_CONFLICT, f"instance {row.instance_guid} is placed already")
    if refusal := placeable_cell(view, command.cell_id, command.cell_incarnation):
        return refusal
    row.placed_cell_id = command.cell_id
    row.placed_at.CopyFrom(stamp(context.at_ns))
    row.placement_error = ""
    return changed(row)


def refuse(view: View, command: c.RefuseInstance, context: Context) -> Decision:
    row, refusal = _repairable(view, command.instance_guid, command.row_revision, "refuse_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    row.placement_error = _shortened(command.placement_error)
    return changed(row)


def withdraw(view: View, command: c.WithdrawInstance, context: Context) -> Decision:
    row, refusal = _repairable(
        view, command.instance_guid, command.row_revision, "withdraw_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return _unclaimed_again(view, row, context)


def unclaim(view: View, command: c.UnclaimInstance, context: Context) -> Decision:
    row, refusal = _repairable(
        view, command.instance_guid, command.row_revision, "unclaim_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return _unclaimed_again(view, row, context)


def suspect(view: View, command: c.SuspectInstance, context: Context) -> Decision:
    """Its cell is missing: it stays routable until a replacement runs."""
    row, refusal = _repairable(
        view, command.instance_guid, command.row_revision, "suspect_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    cell = view.cell(row.cell_id)
    if cell is not None and cell.state == Cell.PRESENT:
        return Refused(Reason.RESOURCE_CONFLICT, f"cell {row.cell_id} is present")
    if row.presence == ActualLrp.SUSPECT:
        return Unchanged(row)
    row.presence = ActualLrp.SUSPECT
    return changed(row)


def unsuspect(view: View, command: c.UnsuspectInstance, context: Context) -> Decision:
    """Its cell is back: it is ordinary again, unless another one has taken its place."""
    row, refusal = _repairable(
        view, command.instance_guid, command.row_revision, "unsuspect_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    cell = view.cell(row.cell_id)
    if cell is None or cell.state != Cell.PRESENT:
        return Refused(Reason.CELL_MISSING, f"cell {row.cell_id} is missing")
    if _ordinary(view, row.process_guid, row.index) is not None:
        return Refused(
            Reason.RESOURCE_CONFLICT, f"{row.process_guid}/{row.index} has an ordinary instance"
        )
    row.presence = ActualLrp.ORDINARY
    return changed(row)


def retire(view: View, command: c.RetireInstance, context: Context) -> Decision:
    row, refusal = _repairable(view, command.instance_guid, command.row_revision, "retire_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    cell = view.cell(row.cell_id) if row.cell_id else None
    if cell is None or cell.state != Cell.PRESENT or row.state == ActualLrp.CRASHED:
        return removed(row)
    if row.stopping:
        return Unchanged(row)
    row.stopping = True
    return changed(row)


def claim(view: View, command: c.ClaimInstance, context: Context) -> Decision:
    row = view.actual_lrp(command.instance_guid)
    if row is None:
        return not_found("instance", command.instance_guid)
    if row.state == ActualLrp.CLAIMED and row.cell_id == context.caller_id:
        return Unchanged(row)
    if refusal := _illegal(row, "claim_instance"):
        return refusal
    if row.placed_cell_id != context.caller_id:
        return Refused(
            Reason.ACTUAL_LRP_CANNOT_BE_CLAIMED,
            f"instance {row.instance_guid} is placed on {row.placed_cell_id or 'no cell'}",
        )
    cell = view.cell(context.caller_id)
    row.state = ActualLrp.CLAIMED
    row.cell_id = context.caller_id
    row.cell_incarnation = context.cell_incarnation
    row.zone = cell.zone if cell is not None else ""
    row.since.CopyFrom(stamp(context.at_ns))
    return changed(row)


def start(view: View, command: c.StartInstance, context: Context) -> Decision:
    row, refusal = _held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := _illegal(row, "start_instance"):
        return refusal
    if _says_nothing_new(row, command):
        return Unchanged(row)
    if row.state != ActualLrp.RUNNING:
        row.state = ActualLrp.RUNNING
        row.since.CopyFrom(stamp(context.at_ns))
    row.net_info.CopyFrom(command.net_info)
    row.routable = command.routable
    return changed(row)


def crash(view: View, command: c.CrashInstance, context: Context) -> Decision:
    """Counts the crash; whether and when it runs again is convergence's to decide."""
    row, refusal = _held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := _illegal(row, "crash_instance"):
        return refusal
    if row.stopping or row.presence == ActualLrp.SUSPECT:
        return removed(row)
    forgiven = row.state == ActualLrp.RUNNING and _ran_long_enough(view, row, context)
    row.crash_count = 1 if forgiven else row.crash_count + 1
    row.crash_reason = _shortened(command.crash_reason)
    row.state = ActualLrp.CRASHED
    row.since.CopyFrom(stamp(context.at_ns))
    return changed(row, left_cell_id=_leave_cell(row))


def remove(view: View, command: c.RemoveInstance, context: Context) -> Decision:
    row, refusal = _held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return _illegal(row, "remove_instance") or removed(row)


def reject(view: View, command: c.RejectInstance, context: Context) -> Decision:
    """It could not be made on this cell and never ran: it is placed anew, and the crash counted.

    A rejection counts as a crash, since nothing else would keep a definition that no cell can
    carry out from being tried without end.
    """
    row, refusal = _held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := _illegal(row, "reject_instance"):
        return refusal
    if row.stopping or row.presence == ActualLrp.SUSPECT:  # a replacement is there, or will be
        return removed(row)
    row.crash_count += 1
    row.crash_reason = _shortened(command.rejection_reason)
    row.state = ActualLrp.CRASHED
    row.since.CopyFrom(stamp(context.at_ns))
    return changed(row, left_cell_id=_leave_cell(row))


def _unclaimed(desired: DesiredLrp, index: int, context: Context) -> ActualLrp:
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
    return row


def _unclaimed_again(view: View, old: ActualLrp, context: Context) -> Changed:
    """The same index with a new identity and the present definition; its crashes are remembered."""
    desired = view.desired_lrp(old.process_guid)
    if desired is None:
        return removed(old)
    new = _unclaimed(desired, old.index, context)
    new.crash_count = old.crash_count
    new.crash_reason = old.crash_reason
    new.placement_error = old.placement_error
    return renewed(old, new)


def _ordinary(view: View, process_guid: str, index: int) -> ActualLrp | None:
    for row in view.instances_at(process_guid, index):
        if row.presence == ActualLrp.ORDINARY:
            return row
    return None


def _repairable(
    view: View, guid: str, seen: int, command: str
) -> tuple[ActualLrp | None, Refused | None]:
    row = view.actual_lrp(guid)
    if row is None:
        return None, not_found("instance", guid)
    stale = stale_row("instance", guid, seen, row.provenance.revision)
    return row, stale or _illegal(row, command)


def _held_by_caller(
    view: View, guid: str, context: Context
) -> tuple[ActualLrp | None, Refused | None]:
    row = view.actual_lrp(guid)
    if row is None:
        return None, not_found("instance", guid)
    if context.caller_id in (row.cell_id, row.placed_cell_id):
        return row, None
    return row, Refused(
        Reason.RUNNING_ON_DIFFERENT_CELL, f"instance {guid} is on {row.cell_id or 'no cell'}"
    )


def _illegal(row: ActualLrp, command: str) -> Refused | None:
    if actual_lrp_lifecycle.allows(row.state, command):
        return None
    return Refused(
        _CANNOT.get(command, Reason.INVALID_STATE_TRANSITION),
        f"instance {row.instance_guid} ({row.process_guid}/{row.index}) is "
        f"{_STATE_NAME(row.state)}: {command} is not possible",
    )


def _says_nothing_new(row: ActualLrp, command: c.StartInstance) -> bool:
    return (
        row.state == ActualLrp.RUNNING
        and row.routable == command.routable
        and row.net_info == command.net_info
    )


def _ran_long_enough(view: View, row: ActualLrp, context: Context) -> bool:
    desired = view.desired_lrp(row.process_guid)
    policy = desired.crash_policy if desired is not None else None
    reset_after_ms = _RESET_AFTER_MS_DEFAULT
    if policy is not None and policy.HasField("reset_after_ms"):
        reset_after_ms = policy.reset_after_ms
    return context.at_ns - nanoseconds(row.since) > reset_after_ms * (NS // 1000)


def _leave_cell(row: ActualLrp) -> str:
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


def _shortened(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
