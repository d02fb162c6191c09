"""What cells say of the instances placed on them: claimed, started, crashed, gone, rejected.

Crashes are counted here; whether and when an instance runs again is convergence's to decide. An
instance that nobody waits for (asked to stop, evacuating, suspect) is gone once it does not run.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed, removed
from diegod.raftbbs.core.desired import VERSIONS_FROM_FORMAT
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.instance_rows import (
    held_by_caller,
    illegal,
    leave_cell,
    named,
    ordinary,
    shortened,
)
from diegod.raftbbs.core.stamps import NS, nanoseconds, stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import ActualLrp

_RESET_AFTER_MS_DEFAULT = 300_000


def claim(view: View, command: c.ClaimInstance, context: Context) -> Decision:
    row = view.actual_lrp(command.instance_guid)
    if row is None:
        return not_found("instance", command.instance_guid)
    if row.state == ActualLrp.CLAIMED and row.cell_id == context.caller_id:
        return Unchanged(row)
    if refusal := illegal(row, "claim_instance"):
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
    row, refusal = held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := illegal(row, "start_instance") or _has_been_replaced(view, row):
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
    row, refusal = held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := illegal(row, "crash_instance"):
        return refusal
    if row.stopping or row.presence != ActualLrp.ORDINARY:
        return removed(row)
    forgiven = row.state == ActualLrp.RUNNING and _ran_long_enough(view, row, context)
    row.crash_count = 1 if forgiven else row.crash_count + 1
    row.crash_reason = shortened(command.crash_reason)
    row.state = ActualLrp.CRASHED
    row.since.CopyFrom(stamp(context.at_ns))
    return changed(row, left_cell_id=leave_cell(row))


def remove(view: View, command: c.RemoveInstance, context: Context) -> Decision:
    row, refusal = held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return illegal(row, "remove_instance") or removed(row)


def reject(view: View, command: c.RejectInstance, context: Context) -> Decision:
    """It could not be made on this cell and never ran: it is placed anew, and the crash counted.

    A rejection counts as a crash, since nothing else would keep a definition that no cell can
    carry out from being tried without end.
    """
    row, refusal = held_by_caller(view, command.instance_guid, context)
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if refusal := illegal(row, "reject_instance"):
        return refusal
    if row.stopping or row.presence != ActualLrp.ORDINARY:  # a replacement is there, or will be
        return removed(row)
    row.crash_count += 1
    row.crash_reason = shortened(command.rejection_reason)
    row.state = ActualLrp.CRASHED
    row.since.CopyFrom(stamp(context.at_ns))
    return changed(row, left_cell_id=leave_cell(row))


def _has_been_replaced(view: View, row: ActualLrp) -> Refused | None:
    """A suspect whose replacement runs stays away: its cell is to stop it."""
    if row.presence != ActualLrp.SUSPECT or view.cluster_format() < VERSIONS_FROM_FORMAT:
        return None
    other = ordinary(view, row.process_guid, row.index)
    if other is None or other.state != ActualLrp.RUNNING or other.stopping:
        return None
    return Refused(
        Reason.ACTUAL_LRP_CANNOT_BE_STARTED,
        f"{named(row)} was replaced by {other.instance_guid}, which runs",
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
