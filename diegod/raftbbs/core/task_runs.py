"""The running of a task: the rules of cells. A task is started at most once, ever; this file is
where that is decided.

A cell's commands name the attempt and are refused unless it is the current one on that very cell.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models import limits
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed
from diegod.raftbbs.core.formats import knows_whole_life
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.task_rows import (
    clear_placement,
    completed,
    enter,
    failed,
    held_by_caller,
    illegal,
    shortened,
    wrong_attempt,
)
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task


def start(view: View, command: c.StartTask, context: Context) -> Decision:
    """The start grant: PENDING and placed on this cell under this attempt -> RUNNING.

    Asked again by the same cell for the same attempt, it is granted again: the cell's own record
    of what it did with the first answer decides whether anything is started.
    """
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    if task.attempt != command.attempt:
        return wrong_attempt(task, command.attempt)
    if task.state == Task.RUNNING and task.cell_id == context.caller_id:
        return Unchanged(task)
    if refusal := illegal(task, "start_task"):
        return refusal
    if task.placed_cell_id != context.caller_id:
        return wrong_attempt(task, command.attempt)
    enter(task, Task.RUNNING, view, context)
    task.cell_id = context.caller_id
    task.cell_incarnation = context.cell_incarnation
    task.fencing_token = context.revision
    task.started_at.CopyFrom(stamp(context.at_ns))
    return changed(task)


def reject(view: View, command: c.RejectTask, context: Context) -> Decision:
    """The cell knows that this attempt never started, and never will: it may be placed anew."""
    task = held_by_caller(view, command.task_guid, command.attempt, context)
    if isinstance(task, Refused):
        return task
    if refusal := illegal(task, "reject_task"):
        return refusal
    task.rejection_count += 1
    task.rejection_reason = shortened(command.rejection_reason)
    if task.rejection_count >= task.max_placement_attempts:
        reason = f"not started after {task.rejection_count} placements: {task.rejection_reason}"
        return failed(view, context, task, Task.REJECTED, reason)
    enter(task, Task.PENDING, view, context)
    task.cell_id = ""
    task.cell_incarnation = 0
    task.fencing_token = 0
    task.ClearField("started_at")
    return changed(task, left_cell_id=clear_placement(task))


def complete(view: View, command: c.CompleteTask, context: Context) -> Decision:
    task = held_by_caller(view, command.task_guid, command.attempt, context)
    if isinstance(task, Refused):
        return task
    if task.state in (Task.COMPLETED, Task.RESOLVING):
        return Unchanged(task)  # the first result stands
    if refusal := illegal(task, "complete_task"):
        return refusal
    task.exit_status_known = command.exit_status_known
    task.exit_status = command.exit_status
    if knows_whole_life(view):
        task.result = shortened(command.result, limits.RESULT_BYTES_MAX)
    if not (command.failed or command.outcome_unknown):
        return completed(view, context, task)
    return failed(
        view,
        context,
        task,
        _failure(command),
        command.failure_reason,
        outcome_unknown=command.outcome_unknown,
    )


def _failure(command: c.CompleteTask) -> Task.Failure.ValueType:
    """Agents of the first release say only that it failed."""
    if command.failure != Task.NONE:
        return command.failure
    return Task.AGENT_LOST_IT if command.outcome_unknown else Task.PROGRAM
