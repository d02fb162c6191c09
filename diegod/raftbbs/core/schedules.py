"""The rules of schedules: tasks that are made by the clock.

When a slot is due is found by the brain, in the time zone of the schedule. Here a slot is done
once: the command that makes its task also moves the schedule past it, on the version of the
schedule that the brain saw, so two brains can't both make it.
"""

from datetime import UTC, datetime

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.models.limits import SCHEDULE_NAME_BYTES_MAX
from diegod.raftbbs.core.decision import (
    Changed,
    Decision,
    Refused,
    RowChange,
    Unchanged,
    changed,
    removed,
)
from diegod.raftbbs.core.guards import not_found, stale_row
from diegod.raftbbs.core.stamps import NS, nanoseconds, stamp
from diegod.raftbbs.core.task_rows import shortened
from diegod.raftbbs.core.tasks import kept_guid, pending
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Change, TaskSchedule
from diegod.v1.task_pb2 import ControlScheduleRequest as Control

#: The end of the year 9999: beyond it a moment has no name.
_SLOT_NS_MAX = 253_402_300_799 * NS


def desire(view: View, command: c.DesireSchedule, context: Context) -> Decision:
    new = TaskSchedule()
    new.CopyFrom(command.schedule)
    old = view.task_schedule(new.name)
    refusal = _unexpected(old, new.name, command.expected_revision) or _unnameable(new.name)
    if refusal:
        return refusal
    if old is None:
        new.created_at.CopyFrom(stamp(context.at_ns))
        return _stored(Change.CREATED, new, command)
    if _is_same(view, command):
        return Unchanged(old)
    if old.domain != new.domain:
        return Refused(
            Reason.INVALID_REQUEST,
            f"{old.name} is in domain {old.domain}; a schedule can't change its domain",
        )
    _keep_history(new, old, context)
    return _stored(Change.CHANGED, new, command)


def control(view: View, command: c.ControlSchedule, context: Context) -> Decision:
    schedule = view.task_schedule(command.name)
    if schedule is None:
        return not_found("schedule", command.name)
    if command.verb == Control.REMOVE:
        return removed(schedule)
    if command.verb not in (Control.PAUSE, Control.RESUME):
        return Refused(Reason.INVALID_REQUEST, "verb: one of PAUSE, RESUME, REMOVE")
    if schedule.paused == (command.verb == Control.PAUSE):
        return Unchanged(schedule)
    schedule.paused = not schedule.paused
    if not schedule.paused:
        # What fell into the pause was not missed: nobody wanted it.
        _move_to(schedule, max(context.at_ns, _last_slot_ns(schedule)))
    return changed(schedule)


def fire(view: View, command: c.FireSchedule, context: Context) -> Decision:
    """The slot is done, and its task is there; or another one has its name, and the slot is said
    to be skipped."""
    schedule = _due(view, command.name, command.row_revision, command.slot_ns)
    if isinstance(schedule, Refused):
        return schedule
    _move_to(schedule, command.slot_ns)
    guid = task_guid(schedule.name, command.slot_ns)
    taken = "it exists already" if view.task(guid) is not None else ""
    if refusal := kept_guid(view, guid, context):
        taken = refusal.message
    if taken:
        _note_skip(schedule, command.slot_ns, f"task {guid} could not be made: {taken}")
        schedule.skipped += 1
        return changed(schedule)
    task = pending(view, schedule.task, context)
    task.task_guid, task.schedule_name = guid, schedule.name
    task.slot.CopyFrom(stamp(command.slot_ns))
    schedule.last_task_guid = guid
    schedule.fired += 1
    # Of two serialised messages behind one another protobuf reads the merged one.
    definition = view.schedule_task_definition(schedule.name) or b""
    closed = definition + TaskDefinition(task_guid=guid).SerializeToString()
    return Changed(
        (RowChange(Change.CREATED, task, closed), RowChange(Change.CHANGED, schedule))
    )


def skip(view: View, command: c.SkipSlots, context: Context) -> Decision:
    schedule = _due(view, command.name, command.row_revision, command.slot_ns)
    if isinstance(schedule, Refused):
        return schedule
    _move_to(schedule, command.slot_ns)
    _note_skip(schedule, command.slot_ns, command.reason)
    if command.missed:
        schedule.missed += command.count
    else:
        schedule.skipped += command.count
    return changed(schedule)


def task_guid(name: str, slot_ns: int) -> str:
    """Of the task of a slot: two that make it make the same one."""
    at = datetime.fromtimestamp(slot_ns // NS, UTC)
    return f"{name}-{at:%Y%m%dT%H%M%SZ}"


def _due(view: View, name: str, seen: int, slot_ns: int) -> TaskSchedule | Refused:
    """The schedule, if it is as the brain saw it and has not come as far as this slot."""
    schedule = view.task_schedule(name)
    if schedule is None:
        return not_found("schedule", name)
    if refusal := stale_row("schedule", name, seen, schedule.provenance.revision):
        return refusal
    if schedule.paused or not schedule.cron:
        why = "is paused" if schedule.paused else "has no clock"
        return Refused(Reason.INVALID_STATE_TRANSITION, f"schedule {name} {why}")
    if not _last_slot_ns(schedule) < slot_ns <= _SLOT_NS_MAX:
        return Refused(Reason.INVALID_STATE_TRANSITION, f"schedule {name}: that slot is done")
    return schedule


def _last_slot_ns(schedule: TaskSchedule) -> int:
    """Up to here everything is done: before it was made, nothing was to be."""
    return max(nanoseconds(schedule.last_slot), nanoseconds(schedule.created_at))


def _move_to(schedule: TaskSchedule, slot_ns: int) -> None:
    schedule.last_slot.CopyFrom(stamp(slot_ns))


def _note_skip(schedule: TaskSchedule, slot_ns: int, reason: str) -> None:
    schedule.last_skip_reason = shortened(reason)
    schedule.last_skipped_slot.CopyFrom(stamp(slot_ns))


def _keep_history(new: TaskSchedule, old: TaskSchedule, context: Context) -> None:
    """A schedule stays itself when it is changed; another clock counts from now."""
    for name in ("paused", "last_task_guid", "fired", "skipped", "missed", "last_skip_reason"):
        setattr(new, name, getattr(old, name))
    for name in ("created_at", "last_slot", "last_skipped_slot"):
        if old.HasField(name):  # type: ignore[arg-type]
            getattr(new, name).CopyFrom(getattr(old, name))
    if (new.cron, new.time_zone) != (old.cron, old.time_zone):
        _move_to(new, max(context.at_ns, _last_slot_ns(old)))


def _is_same(view: View, command: c.DesireSchedule) -> bool:
    name = command.schedule.name
    return (
        view.schedule_definition(name) == command.definition
        and view.schedule_task_definition(name) == command.task_definition
    )


def _stored(
    verb: Change.Verb.ValueType, schedule: TaskSchedule, command: c.DesireSchedule
) -> Changed:
    change = RowChange(
        verb, schedule, command.definition, task_definition=command.task_definition
    )
    return Changed((change,))


def _unexpected(row: TaskSchedule | None, name: str, expected: int) -> Refused | None:
    is_now = row.provenance.revision if row is not None else 0
    if expected in (0, is_now):
        return None
    return Refused(
        Reason.RESOURCE_CONFLICT,
        f"schedule {name} is at revision {is_now}, not {expected}: somebody changed it meanwhile",
    )


def _unnameable(name: str) -> Refused | None:
    if len(name.encode()) <= SCHEDULE_NAME_BYTES_MAX:
        return None
    return Refused(
        Reason.INVALID_REQUEST,
        f"name: at most {SCHEDULE_NAME_BYTES_MAX} bytes, since its tasks are called after it",
    )
