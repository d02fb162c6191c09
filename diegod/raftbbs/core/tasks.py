"""The rules of tasks as people see them: desired, cancelled, resolved, and gone.

Where a task runs is decided by `task_placement`, its running by `task_runs`, the telling of its
end by `callbacks`. A task that is gone leaves its guid behind for a day, so that a cell or a client
that is late can't take another task for it.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models import callbacks
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Changed, Decision, Refused, Unchanged, created, removed
from diegod.raftbbs.core.formats import knows_whole_life
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.stamps import NS, stamp
from diegod.raftbbs.core.task_rows import changed_to, failed, illegal, repairable
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Task

HOUR_NS = 3600 * NS
#: For so long the guid of a task that was deleted names no other one.
GUID_KEPT_NS = 24 * HOUR_NS


def desire(view: View, command: c.DesireTask, context: Context) -> Decision:
    old = view.task(command.task.task_guid)
    if old is not None:
        if view.task_definition(old.task_guid) == command.definition:
            return Unchanged(old)
        return Refused(
            Reason.RESOURCE_EXISTS,
            f"task {old.task_guid} exists with another definition; it is not replaced",
        )
    refusal = kept_guid(view, command.task.task_guid, context) or _too_new(view, command.task)
    return refusal or created(pending(view, command.task, context), command.definition)


def pending(view: View, made_at_admission: Task, context: Context) -> Task:
    """The row of a new task."""
    task = Task()
    task.CopyFrom(made_at_admission)
    task.state = Task.PENDING
    task.created_at.CopyFrom(stamp(context.at_ns))
    if knows_whole_life(view):
        task.since.CopyFrom(task.created_at)
    return task


def kept_guid(view: View, task_guid: str, context: Context) -> Refused | None:
    """The refusal of a guid whose task was deleted a short while ago."""
    free_at_ns = view.tombstone(task_guid)
    if free_at_ns is None or free_at_ns <= context.at_ns:
        return None
    ago_ns = context.at_ns - (free_at_ns - GUID_KEPT_NS)
    return Refused(
        Reason.RESOURCE_EXISTS,
        f"task {task_guid} was deleted {_span(ago_ns)} ago: its guid can be used again in "
        f"{_span(free_at_ns - context.at_ns)}; give the new task another one",
    )


def cancel(view: View, command: c.CancelTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    if task.state in (Task.COMPLETED, Task.RESOLVING):
        return Unchanged(task)
    # What runs may have done its work already: only its end is certain, not its result.
    return failed(view, context, task, Task.CANCELLED, "task was cancelled")


def resolve(view: View, command: c.ResolveTask, context: Context) -> Decision:
    """One caller gets the ended task for itself; it is to delete it."""
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    return illegal(task, "resolve_task") or changed_to(task, Task.RESOLVING, view, context)


def delete(view: View, command: c.DeleteTask, context: Context) -> Decision:
    task = view.task(command.task_guid)
    if task is None:
        return not_found("task", command.task_guid)
    return illegal(task, "delete_task") or _gone(view, task, context)


def expire(view: View, command: c.ExpireTask, context: Context) -> Decision:
    task = repairable(view, command.task_guid, command.row_revision, "expire_task")
    if isinstance(task, Refused):
        return task
    if callbacks.holds_record(task):
        return Refused(
            Reason.INVALID_STATE_TRANSITION,
            f"task {task.task_guid}: {task.callback.url} has not been told of its end",
        )
    return _gone(view, task, context)


def _gone(view: View, task: Task, context: Context) -> Changed:
    free_at_ns = context.at_ns + GUID_KEPT_NS if knows_whole_life(view) else 0
    return removed(task, free_at_ns)


def _too_new(view: View, task: Task) -> Refused | None:
    """What members of an earlier format would not act on is not taken before all of them do."""
    if knows_whole_life(view):
        return None
    news = [name for name in ("callback",) if task.HasField(name)]
    news += [name for name in ("depends_on", "schedule_name") if getattr(task, name)]
    news += ["placement.cell_id"] if task.needs.cell_id else []
    if not news:
        return None
    return Refused(
        Reason.INVALID_REQUEST,
        f"{', '.join(news)}: not every member of the cluster knows this yet; finish its upgrade",
    )


def _span(ns: int) -> str:
    """A length of time in one word and a number."""
    seconds = max(0, ns) // NS
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"
