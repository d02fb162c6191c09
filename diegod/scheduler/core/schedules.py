"""What convergence does about one schedule: its due slots are fired, skipped or missed.

A slot is fired by one command that makes the task and moves `last_slot`, on the version of the
schedule that it was decided on: so two brains can't fire it twice, and a brain that takes over
decides from the row alone. Does not belong here: when slots are (`models.schedule_slots`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from diegod.internal.v1.command_pb2 import FireSchedule, SkipSlots
from diegod.models.schedule_slots import done_until, last_slot, next_slot, slots, unreadable
from diegod.scheduler.core.decision import schedule_key
from diegod.scheduler.core.repairs import Deadline, Sheet
from diegod.v1.record_pb2 import TaskSchedule

#: Slots that were missed are counted one by one up to here: a brain has other things to do.
MISSED_COUNTED_MAX = 1000
#: Cron's slots are whole minutes, so nothing is lost by looking past one by a second.
_SECOND = 1.0


@dataclass(frozen=True)
class Due:
    """What has become of the slots up to now."""

    fire: float | None  # the latest slot that is not too late; older ones are missed
    missed: int  # at least so many, if MISSED_COUNTED_MAX
    last_missed: float


def repair_schedule(sheet: Sheet, name: str) -> None:
    schedule = sheet.snapshot.schedules.get(name)
    if schedule is None or schedule.paused or not schedule.cron:
        return
    if why := unreadable(schedule.cron, schedule.time_zone):
        sheet.troubles.append(f"schedule {name} is not fired: {why}")
        return
    slot = next_slot(schedule)
    if slot is None:
        return
    if slot > sheet.now:
        sheet.deadlines.append(Deadline(slot, schedule_key(name)))
        return
    due = due_slots(schedule, sheet.now)
    if due.missed:  # the rest is decided on the version of the row that this makes
        _skip_missed(sheet, schedule, due)
    elif due.fire is not None:
        _fire_or_skip(sheet, schedule, due.fire)


def due_slots(schedule: TaskSchedule, now: float) -> Due:
    cron, zone, after = schedule.cron, schedule.time_zone, done_until(schedule)
    in_time = now - schedule.late_ms / 1000
    fire = last_slot(cron, zone, max(after, in_time - _SECOND), now)
    if fire is not None and fire < in_time:
        fire = None
    until = now if fire is None else fire - _SECOND
    missed = sum(1 for _ in islice(slots(cron, zone, after, until), MISSED_COUNTED_MAX))
    last_missed = (last_slot(cron, zone, after, until) or 0.0) if missed else 0.0
    return Due(fire, missed, last_missed)


def _skip_missed(sheet: Sheet, schedule: TaskSchedule, due: Due) -> None:
    at_least = "at least " if due.missed == MISSED_COUNTED_MAX else ""
    slots = "slot was" if due.missed == 1 else "slots were"
    reason = f"{at_least}{due.missed} {slots} missed, the last at {_said(due.last_missed)}"
    _skip(sheet, schedule, due.last_missed, due.missed, reason, missed=True)


def _fire_or_skip(sheet: Sheet, schedule: TaskSchedule, slot: float) -> None:
    unfinished = sheet.snapshot.unfinished_of(schedule.name)
    if unfinished and not schedule.allow_overlap:
        reason = f"task {unfinished[0]} of an earlier slot has not ended"
        _skip(sheet, schedule, slot, 1, reason, missed=False)
        return
    action = FireSchedule(
        name=schedule.name, row_revision=schedule.provenance.revision, slot_ns=_ns(slot)
    )
    reason = f"slot {_said(slot)} of schedule {schedule.name}"
    sheet.decide(schedule_key(schedule.name), action, reason)


def _skip(
    sheet: Sheet, schedule: TaskSchedule, slot: float, count: int, reason: str, *, missed: bool
) -> None:
    action = SkipSlots(
        name=schedule.name,
        row_revision=schedule.provenance.revision,
        slot_ns=_ns(slot),
        count=count,
        missed=missed,
        reason=reason,
    )
    sheet.decide(schedule_key(schedule.name), action, reason)


def _ns(slot: float) -> int:
    return round(slot) * 1_000_000_000


def _said(slot: float) -> str:
    return datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
