"""The rules of tasks. A task is started at most once, ever; this file is where that is decided.

A placement has an attempt id: the revision of the command that made it, so it is never used again,
not even for another task of the same guid. A cell's commands name the attempt and are refused
unless it is the current one on that very cell.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models import task_lifecycle
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import (
    Changed,
    Decision,
    Refused,
    Unchanged,
    changed,
    created,
    removed,
)
from diegod.raftbbs.core.guards import not_found, placeable_cell, stale_row
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task

_STATE_NAME = Task.State.Name
_REASON_BYTES_MAX = 1024


def desire(view: View, command: c.DesireTask, context: Context) -> Decision:
    old = view.task(command.task.task_guid)
    if old is not None:
        if view.task_definition(old.task_guid) == command.definition:
            return Unchanged(old)
        return Refused(
            Reason.RESOURCE_EXISTS,
            f"task {old.task_guid} exists with another definition; it is not replaced",
        )
    task = Task()
    task.CopyFrom(command.task)
    task.state = Task.PENDING
    task.created_at.CopyFrom(stamp(context.at_ns))
    return created(task, command.definition)


def cancel(view: View, command: c.CancelTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    if task.state in (Task.COMPLETED, Task.RESOLVING):
        return Unchanged(task)
    # What runs may have done its work already: only its end is certain, not its result.
    return _failed(task, context, "task was cancelled", outcome_unknown=False)


def delete(view: View, command: c.DeleteTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    return _illegal(task, "delete_task") or removed(task)


def place(view: View, command: c.PlaceTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    refusal = _repairable(task, command.task_guid, command.row_revision, "place_task")
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    if task.placed_cell_id:
        return Refused(Reason.RESOURCE_CONFLICT, f"task {task.task_guid} is placed already")
    if refusal := placeable_cell(view, command.cell_id, command.cell_incarnation):
        return refusal
    task.placed_cell_id = command.cell_id
    task.attempt = context.revision
    task.placed_at.CopyFrom(stamp(context.at_ns))
    task.placement_error = ""
    return changed(task)


def refuse(view: View, command: c.RefuseTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    refusal = _repairable(task, command.task_guid, command.row_revision, "refuse_task")
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    task.placement_error = _shortened(command.placement_error)
    return changed(task)


def withdraw(view: View, command: c.WithdrawTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    refusal = _repairable(task, command.task_guid, command.row_revision, "withdraw_task")
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    return changed(task, left_cell_id=_clear_placement(task))


def fail(view: View, command: c.FailTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    refusal = _repairable(task, command.task_guid, command.row_revision, "fail_task")
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    return _failed(task, context, command.failure_reason, outcome_unknown=command.outcome_unknown)


def expire(view: View, command: c.ExpireTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    refusal = _repairable(task, command.task_guid, command.row_revision, "expire_task")
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    return removed(task)


def start(view: View, command: c.StartTask, context: Context) -> Decision:
    """The start grant: PENDING and placed on this cell under this attempt -> RUNNING.

    Asked again by the same cell for the same attempt, it is granted again: the cell's own record
    of what it did with the first answer decides whether anything is started.
    """
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    if task.attempt != command.attempt:
        return _wrong_attempt(task, command.attempt)
    if task.state == Task.RUNNING and task.cell_id == context.caller_id:
        return Unchanged(task)
    if refusal := _illegal(task, "start_task"):
        return refusal
    if task.placed_cell_id != context.caller_id:
        return _wrong_attempt(task, command.attempt)
    task.state = Task.RUNNING
    task.cell_id = context.caller_id
    task.cell_incarnation = context.cell_incarnation
    task.fencing_token = context.revision
    task.started_at.CopyFrom(stamp(context.at_ns))
    return changed(task)


def reject(view: View, command: c.RejectTask, context: Context) -> Decision:
    """The cell knows that this attempt never started, and never will: it may be placed anew."""
    task, refusal = _held_by_caller(view, command.task_guid, command.attempt, context)
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    if refusal := _illegal(task, "reject_task"):
        return refusal
    task.rejection_count += 1
    task.rejection_reason = _shortened(command.rejection_reason)
    if task.rejection_count >= task.max_placement_attempts:
        return _failed(
            task,
            context,
            f"not started after {task.rejection_count} placements: {task.rejection_reason}",
            outcome_unknown=False,
        )
    task.state = Task.PENDING
    task.cell_id = ""
    task.cell_incarnation = 0
    task.fencing_token = 0
    task.ClearField("started_at")
    return changed(task, left_cell_id=_clear_placement(task))


def complete(view: View, command: c.CompleteTask, context: Context) -> Decision:
    task, refusal = _held_by_caller(view, command.task_guid, command.attempt, context)
    if task is None or refusal:
        return refusal or not_found("task", command.task_guid)
    if task.state in (Task.COMPLETED, Task.RESOLVING):
        return Unchanged(task)  # the first result stands
    if refusal := _illegal(task, "complete_task"):
        return refusal
    task.exit_status_known = command.exit_status_known
    task.exit_status = command.exit_status
    if command.failed or command.outcome_unknown:
        return _failed(task, context, command.failure_reason, command.outcome_unknown)
    return _completed(task, context)


def _failed(task: Task, context: Context, failure_reason: str, outcome_unknown: bool) -> Changed:
    task.failed = True
    task.failure_reason = _shortened(failure_reason)
    task.outcome_unknown = outcome_unknown
    return _completed(task, context)


def _completed(task: Task, context: Context) -> Changed:
    task.state = Task.COMPLETED
    task.placement_error = ""
    task.completed_at.CopyFrom(stamp(context.at_ns))
    return changed(task)


def _held_by_caller(
    view: View, task_guid: str, attempt: int, context: Context
) -> tuple[Task | None, Refused | None]:
    """The task, if the speaking cell has it under this attempt."""
    task = view.task(task_guid)
    if task is None:
        return None, not_found("task", task_guid)
    if task.attempt != attempt:
        return task, _wrong_attempt(task, attempt)
    holder = task.cell_id or task.placed_cell_id
    if holder != context.caller_id:
        return task, Refused(
            Reason.RUNNING_ON_DIFFERENT_CELL, f"task {task_guid} is on {holder or 'no cell'}"
        )
    return task, None


def _repairable(task: Task | None, task_guid: str, seen: int, command: str) -> Refused | None:
    if task is None:
        return not_found("task", task_guid)
    stale = stale_row("task", task_guid, seen, task.provenance.revision)
    return stale or _illegal(task, command)


def _illegal(task: Task, command: str) -> Refused | None:
    if task_lifecycle.allows(task.state, command):
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"task {task.task_guid} is {_STATE_NAME(task.state)}: {command} is not possible",
    )


def _wrong_attempt(task: Task, attempt: int) -> Refused:
    return Refused(
        Reason.WRONG_ATTEMPT,
        f"task {task.task_guid}: attempt {attempt} is not the current one ({task.attempt})",
    )


def _clear_placement(task: Task) -> str:
    """The cell it was placed on. The attempt id goes too: what is said under it is refused."""
    cell_id = task.placed_cell_id
    task.placed_cell_id = ""
    task.attempt = 0
    task.ClearField("placed_at")
    return cell_id


def _shortened(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
