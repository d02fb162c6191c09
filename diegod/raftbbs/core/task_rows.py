"""What the rules of tasks share: whether one may go on, and how a task enters a state."""

from diegod.models import limits, task_lifecycle
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Changed, Refused, changed
from diegod.raftbbs.core.formats import knows_whole_life
from diegod.raftbbs.core.guards import not_found, stale_row
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task

_STATE_NAME = Task.State.Name


def repairable(view: View, task_guid: str, seen: int, command: str) -> Task | Refused:
    """The task, if it is still as the brain saw it, and in a state for this command."""
    task = view.task(task_guid)
    if task is None:
        return not_found("task", task_guid)
    stale = stale_row("task", task_guid, seen, task.provenance.revision)
    return stale or illegal(task, command) or task


def held_by_caller(view: View, task_guid: str, attempt: int, context: Context) -> Task | Refused:
    """The task, if the speaking cell has it under this attempt."""
    task = view.task(task_guid)
    if task is None:
        return not_found("task", task_guid)
    if task.attempt != attempt:
        return wrong_attempt(task, attempt)
    holder = task.cell_id or task.placed_cell_id
    if holder != context.caller_id:
        return Refused(
            Reason.RUNNING_ON_DIFFERENT_CELL, f"task {task_guid} is on {holder or 'no cell'}"
        )
    return task


def illegal(task: Task, command: str) -> Refused | None:
    if task_lifecycle.allows(task.state, command):
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"task {task.task_guid} is {_STATE_NAME(task.state)}: {command} is not possible",
    )


def wrong_attempt(task: Task, attempt: int) -> Refused:
    return Refused(
        Reason.WRONG_ATTEMPT,
        f"task {task.task_guid}: attempt {attempt} is not the current one ({task.attempt})",
    )


def enter(task: Task, state: Task.State.ValueType, view: View, context: Context) -> None:
    """Into this state; members of an earlier format write no `since`, so nobody does before."""
    if task.state != state and knows_whole_life(view):
        task.since.CopyFrom(stamp(context.at_ns))
    task.state = state


def changed_to(
    task: Task, state: Task.State.ValueType, view: View, context: Context
) -> Changed:
    enter(task, state, view, context)
    return changed(task)


def failed(
    view: View,
    context: Context,
    task: Task,
    failure: Task.Failure.ValueType,
    failure_reason: str,
    *,
    outcome_unknown: bool = False,
) -> Changed:
    task.failed = True
    task.failure_reason = shortened(failure_reason)
    task.outcome_unknown = outcome_unknown
    if knows_whole_life(view):
        task.failure = failure
    return completed(view, context, task)


def completed(view: View, context: Context, task: Task) -> Changed:
    enter(task, Task.COMPLETED, view, context)
    task.placement_error = ""
    task.completed_at.CopyFrom(stamp(context.at_ns))
    return changed(task)


def clear_placement(task: Task) -> str:
    """The cell it was placed on. The attempt id goes too: what is said under it is refused."""
    cell_id = task.placed_cell_id
    task.placed_cell_id = ""
    task.attempt = 0
    task.ClearField("placed_at")
    return cell_id


def shortened(text: str, bytes_max: int = limits.FAILURE_REASON_BYTES_MAX) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")
