"""The rules of telling a task's end: one brain at a time claims it, and says what became of it."""

from diegod.internal.v1 import command_pb2 as c
from diegod.models import callbacks
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.task_rows import changed_to, repairable, shortened
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task


def claim(view: View, command: c.ClaimCallback, context: Context) -> Decision:
    task = repairable(view, command.task_guid, command.row_revision, "claim_callback")
    if isinstance(task, Refused):
        return task
    return _nobody_to_tell(task) or changed_to(task, Task.RESOLVING, view, context)


def finish(view: View, command: c.FinishCallback, context: Context) -> Decision:
    """Delivered, given up, or when the next try is due: decided by replicated time alone."""
    task = repairable(view, command.task_guid, command.row_revision, "finish_callback")
    if isinstance(task, Refused):
        return task
    if refusal := _nobody_to_tell(task):
        return refusal
    _note_try(task, command, context.at_ns)
    return changed_to(task, Task.COMPLETED, view, context)


def reopen(view: View, command: c.ReopenTask, context: Context) -> Decision:
    """Whoever had it has left it alone: a client that is gone, or a brain that is."""
    task = repairable(view, command.task_guid, command.row_revision, "reopen_task")
    if isinstance(task, Refused):
        return task
    return changed_to(task, Task.COMPLETED, view, context)


def _note_try(task: Task, command: c.FinishCallback, at_ns: int) -> None:
    callback = task.callback
    callback.tries += 1
    callback.http_status = command.http_status
    callback.ClearField("next_try_at")
    if command.delivered:
        callback.delivered = True
        return
    callback.last_error = shortened(command.error)
    callback.given_up = command.give_up or callbacks.is_over(task, at_ns)
    if not callback.given_up:
        callback.next_try_at.CopyFrom(stamp(callbacks.next_try_ns(callback, at_ns)))


def _nobody_to_tell(task: Task) -> Refused | None:
    if callbacks.is_open(task):
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"task {task.task_guid}: there is nobody who has to be told of its end",
    )
