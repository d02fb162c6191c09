"""The book of slots: each is fired once, or skipped, or missed, and none is passed over.

What a cron expression means is not asked of the product: the schedules of the simulation are every
so many seconds from a full hour, in any time zone.
"""

from collections.abc import Callable

from diegod.internal.v1.command_pb2 import Command
from diegod.v1.record_pb2 import Change, TaskSchedule
from tests.sim.people_schedules import SCHEDULES
from tests.sim.rows import Row, Rows


class SlotBook:
    def __init__(self, complain: Callable[[str], None], rows: Rows) -> None:
        self._complain = complain
        self._rows = rows
        self.fired: dict[str, None] = {}  # every task that the clock ever made
        self.skipped = self.missed = 0

    def judge(self, command: Command, before: Row | None, change: Change) -> None:
        kind = command.WhichOneof("command")
        if kind == "fire_schedule" and change.WhichOneof("row") == "task":
            self._fired(change)
        if not isinstance(before, TaskSchedule) or change.verb == Change.REMOVED:
            return
        if kind == "fire_schedule":
            slot_s = command.fire_schedule.slot_ns / 1e9
            if before.paused:
                self._complain(f"schedule {before.name} fires {slot_s:.0f}, and is paused")
            self._expect(before, slot_s, 1, f"fires {slot_s:.0f}")
        elif kind == "skip_slots":
            skip = command.skip_slots
            slot_s = skip.slot_ns / 1e9
            self._expect(before, slot_s, skip.count, f"skips to {slot_s:.0f}")
            self.missed += skip.count * skip.missed
            self.skipped += skip.count * (not skip.missed)

    def overdue(self) -> list[str]:
        """Schedules with a slot that nobody has spoken of, though there was time for it."""
        return [
            f"schedule {row.name} has not come to its slot of {due_s:.0f}"
            for row in self._rows.schedules.values()
            if not row.paused
            and (due_s := next_slot_s(row)) is not None
            and due_s < self._rows.at_s - 5.0
        ]

    def _fired(self, change: Change) -> None:
        guid = change.task.task_guid
        if guid in self.fired:
            self._complain(f"the slot of {guid} was fired twice")
        self.fired[guid] = None

    def _expect(self, before: TaskSchedule, slot_s: float, count: int, what: str) -> None:
        """From the last slot that is done up to this one there are so many, this one the last."""
        period_s = SCHEDULES[before.name][2]
        if slot_s % period_s or round((slot_s - _done_s(before)) // period_s) < 0:
            self._complain(f"schedule {before.name} {what}, which is no slot of it")
        slots = int((slot_s - (next_slot_s(before) or 0.0)) // period_s) + 1
        if slots != count:
            self._complain(f"schedule {before.name} {what}: {slots} slots, said to be {count}")


def next_slot_s(row: TaskSchedule) -> float | None:
    """The first slot after the last one that is done; None: it has no clock."""
    period_s = SCHEDULES[row.name][2]
    return (period_s or None) and (_done_s(row) // period_s + 1) * period_s


def _done_s(row: TaskSchedule) -> float:
    at = row.last_slot if row.HasField("last_slot") else row.created_at
    return at.ToNanoseconds() / 1e9
