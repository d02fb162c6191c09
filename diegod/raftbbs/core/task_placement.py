"""Where a task is to run: the rules of the brain, for as long as nobody has started it.

A placement has an attempt id: the revision of the command that made it, so it is never used again,
not even for another task of the same guid.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused, changed
from diegod.raftbbs.core.guards import placeable_cell
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.task_rows import clear_placement, failed, repairable, shortened
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task


def place(view: View, command: c.PlaceTask, context: Context) -> Decision:
    task = repairable(view, command.task_guid, command.row_revision, "place_task")
    if isinstance(task, Refused):
        return task
    if refusal := _unplaceable(task, command.cell_id):
        return refusal
    if refusal := placeable_cell(view, command.cell_id, command.cell_incarnation):
        return refusal
    task.placed_cell_id = command.cell_id
    task.attempt = context.revision
    task.placed_at.CopyFrom(stamp(context.at_ns))
    task.placement_error = ""
    return changed(task)


def refuse(view: View, command: c.RefuseTask, context: Context) -> Decision:
    task = repairable(view, command.task_guid, command.row_revision, "refuse_task")
    if isinstance(task, Refused):
        return task
    task.placement_error = shortened(command.placement_error)
    return changed(task)


def withdraw(view: View, command: c.WithdrawTask, context: Context) -> Decision:
    task = repairable(view, command.task_guid, command.row_revision, "withdraw_task")
    if isinstance(task, Refused):
        return task
    return changed(task, left_cell_id=clear_placement(task))


def fail(view: View, command: c.FailTask, context: Context) -> Decision:
    """It ends without its cell saying so: too late, or its cell is gone."""
    task = repairable(view, command.task_guid, command.row_revision, "fail_task")
    if isinstance(task, Refused):
        return task
    return failed(
        view,
        context,
        task,
        command.failure,
        command.failure_reason,
        outcome_unknown=command.outcome_unknown,
    )


def _unplaceable(task: Task, cell_id: str) -> Refused | None:
    if task.placed_cell_id:
        return Refused(Reason.RESOURCE_CONFLICT, f"task {task.task_guid} is placed already")
    if task.needs.cell_id not in ("", cell_id):
        return Refused(
            Reason.RESOURCE_CONFLICT,
            f"task {task.task_guid} is for cell {task.needs.cell_id} and no other",
        )
    return None
