"""How a schedule of tasks stands."""

from diegod.models.standing.facts import Facts, Standing, at_rest, by_brain
from diegod.v1.record_pb2 import TaskSchedule


def of_schedule(schedule: TaskSchedule, facts: Facts, now: float) -> Standing:
    if schedule.paused:
        return at_rest(f"is paused; it waits for: diegod task schedule resume {schedule.name}")
    if not schedule.cron:
        return at_rest(f"has no clock; it waits for: diegod task dispatch {schedule.name}")
    if facts.next_slot is None:
        return at_rest("has no slot any more")
    if facts.next_slot > now:
        return at_rest("waits for its next slot", facts.next_slot)
    late_at = facts.next_slot + schedule.late_ms / 1000
    return by_brain(facts, "a slot is due: it is fired, or missed", late_at, now)
